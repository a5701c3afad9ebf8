# What CI runs.
check:
    bash .ci/run

# How fast, beside peers in the same run.
bench:
    cargo run --release -p synfin-benches -- memory
    cargo run --release -p synfin-benches -- tun

# Licenses and sources of what we depend on (cargo-deny).
deny:
    cargo deny check bans licenses sources

# The whole of the simulation.
sim:
    cargo run --release -- sim bulk --seeds 10000

# All the evidence, and the page that says what it was.
evidence:
    cargo xtask evidence

# Do the judges find what they should? Faults put in on purpose, and changes at random (cargo install cargo-mutants --locked).
faults:
    cargo xtask faults
mutants:
    cargo xtask mutants

# Ten minutes of the fuzzer (nightly, cargo-fuzz).
fuzz:
    cd fuzz && mkdir -p corpus/stack && cp seeds/stack/* corpus/stack/ && cargo +nightly fuzz run stack -- -max_total_time=600 -max_len=1000
