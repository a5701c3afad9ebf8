//! How congestion control does is a snapshot: a change shows as a difference in review. `INSTA_UPDATE=always cargo test -p
//! synfin-cli --test congestion` writes it anew.

use std::process::Command;

#[test]
fn the_table_of_congestion_control_has_not_changed() {
    let o = Command::new(env!("CARGO_BIN_EXE_synfin")).args(["sim", "table"]).output().expect("the program starts");
    assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    insta::assert_snapshot!(String::from_utf8_lossy(&o.stdout));
}
