//! `synfin states`: the transition table, as it runs, and the diagram of RFC 9293 figure 5.

use crate::output::Output;
use std::io::{self, Write};
use synfin_tcp::state::{State, TRANSITIONS};

/// What to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The diagram of RFC 9293 figure 5 instead of the table
    #[arg(long)]
    diagram: bool,
    /// One JSON object per transition
    #[arg(long, conflicts_with = "diagram")]
    json: bool,
}

impl Args {
    /// Whether objects are asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Prints it.
pub(crate) fn run(args: &Args, out: &mut Output) -> io::Result<()> {
    if args.diagram {
        return write!(out, "{DIAGRAM}");
    }
    if args.json {
        for t in TRANSITIONS {
            let o = serde_json::json!({
                "from": t.from.name(), "trigger": t.trigger.name(), "to": t.to.name(), "action": t.action, "source": t.source,
            });
            writeln!(out, "{o}")?;
        }
        return Ok(());
    }
    writeln!(out, "{:<13} {:<23} {:<13} {:<22} RFC 9293", "FROM", "BY", "TO", "ACTION")?;
    for from in [State::Closed].into_iter().chain(State::ALL.into_iter().filter(|s| *s != State::Closed)) {
        for t in TRANSITIONS.iter().filter(|t| t.from == from) {
            writeln!(out, "{:<13} {:<23} {:<13} {:<22} {}", t.from, t.trigger, t.to, t.action, t.source)?;
        }
    }
    Ok(())
}

/// Drawn anew after figure 5 with its notes; the test below holds it against the table.
const DIAGRAM: &str = "\
                                 +--------+
          passive OPEN           | CLOSED |           active OPEN / snd SYN
          +----------------------+        +---------------------------+
          |        CLOSE         +--------+          CLOSE            |
          |   +----------------->          <-----------------------+  |
          v   |                                                    |  v
        +-----+--+               SEND / snd SYN                 +--+-------+
        | LISTEN +--------------------------------------------->| SYN-SENT |
        +-+---^--+                                              +--+----+--+
 rcv SYN  |   | rcv RST (1)                             rcv SYN    |    |
 snd      |   |                                         snd SYN,ACK|    | rcv SYN,ACK
 SYN,ACK  v   |                                                    |    | snd ACK
   +----------+---+<-----------------------------------------------+    |
   | SYN-RECEIVED |            rcv ACK of SYN       +-------------+     |
   |              +-------------------------------->| ESTABLISHED |<----+
   +------+-------+                                 +--+-------+--+
          | CLOSE / snd FIN            CLOSE / snd FIN |       | rcv FIN / snd ACK
          v                                            |       v
   +------------+<-------------------------------------+   +------------+
   | FIN-WAIT-1 +-----------------------+                  | CLOSE-WAIT |
   +--+----+----+   rcv FIN / snd ACK   |                  +-----+------+
      |    |                            v                        | CLOSE / snd FIN
      |    | rcv FIN,           +---------+                      v
      |    | ACK of FIN (2)     | CLOSING |                +----------+
      |    | snd ACK            +----+----+                | LAST-ACK |
      |    +---------------------+   | rcv ACK of FIN      +----+-----+
      | rcv ACK of FIN           |   |                          | rcv ACK of FIN
      v                          v   v                          v
   +------------+              +-----------+  timeout=2MSL  +--------+
   | FIN-WAIT-2 +------------->| TIME-WAIT +--------------->| CLOSED |
   +------------+ rcv FIN      +-----------+                +--------+
                  snd ACK
   (1) only if it came here from LISTEN
   (2) if the FIN acknowledges ours as well
   (3) not drawn: ABORT and timeout lead from SYN-SENT and all after it to CLOSED, RST too but from TIME-WAIT
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_every_arrow_of_the_figure_is_drawn() {
        for s in State::ALL {
            assert!(DIAGRAM.contains(s.name()), "{s}");
        }
        for t in TRANSITIONS.iter().filter(|t| t.source == "figure 5") {
            for word in t.trigger.name().split(',') {
                assert!(DIAGRAM.contains(word.trim()), "{}", t.trigger);
            }
        }
    }
}
