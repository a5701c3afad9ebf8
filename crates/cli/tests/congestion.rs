//! How congestion control does is a snapshot: a change shows as a difference in review. `INSTA_UPDATE=always cargo test -p
//! synfin-cli --test congestion` writes it anew.

use std::process::Command;

#[test]
fn the_table_of_congestion_control_has_not_changed() {
    let o = Command::new(env!("CARGO_BIN_EXE_synfin")).args(["sim", "table"]).output().expect("the program starts");
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    let text = String::from_utf8_lossy(&o.stdout);
    let odd: Vec<&str> = text.lines().filter(|l| l.contains("below") || l.contains("above")).collect();
    for line in &odd {
        let row = line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(EXPLAINED.iter().any(|(start, _)| row.starts_with(start)), "not as theory has it: {row}");
    }
    assert_eq!(odd.len(), EXPLAINED.len(), "what is as expected now need not be explained: {odd:?}");
    insta::assert_snapshot!(text);
}

/// Rows that are not as theory has them, and why.
const EXPLAINED: [(&str, &str); 2] = [
    (
        "cubic 0.1% 200 ms 0.0%",
        "RFC 9438 5 has losses at equal distances; by chance some are long, and the window grows by the cube of the time",
    ),
    (
        "bbr 1.0% 200 ms 1.0%",
        "what is overtaken by 50 ms is taken for lost until RACK has learned better: with what is lost, more than BBRLossThresh",
    ),
];
