# What CI runs.
check:
    bash .ci/run

# How fast, beside peers in the same run.
bench:
    cargo run --release -p synfin-benches -- memory
    cargo run --release -p synfin-benches -- tun
    cargo run --release -p synfin-benches -- connections

# What gets through a bad path, beside Linux over the same one: an hour (docs/goodput.md).
goodput:
    cargo run --release -p synfin-benches -- goodput

# Licenses and sources of what we depend on (cargo-deny).
deny:
    cargo deny check bans licenses sources

# The whole of the simulation.
sim:
    cargo run --release -- sim bulk --seeds 10000

# A million SYNs, and a million idle connections, each octet of the heap counted: some minutes. The tests have thousands.
millions:
    cargo test -p synfin-stack --test floods --test idle -- --ignored --nocapture

# All the evidence, and the page that says what it was.
evidence:
    cargo xtask evidence

# Do the judges find what they should? Faults put in on purpose, and changes at random (cargo install cargo-mutants --locked).
faults:
    cargo xtask faults
mutants:
    cargo xtask mutants

# The fuzzer on every target, an hour in all (nightly, cargo-fuzz); then what is to be kept of it in docs/long-runs.toml.
fuzz seconds="900":
    for t in stack pair script parsers; do mkdir -p fuzz/corpus/$t; cp fuzz/seeds/$t/* fuzz/corpus/$t/; (cd fuzz && cargo +nightly fuzz run $t -- -max_total_time={{seconds}} -max_len=1000) >target/fuzz-$t.log 2>&1 || { tail -50 target/fuzz-$t.log; exit 1; }; done
    cargo xtask fuzz-report target/fuzz-*.log

# Undefined behaviour and overflows, where the nightly toolchain has Miri.
miri:
    cargo +nightly miri test -p synfin-wire -p synfin-tcp
