//! What `synfin drill` is told: packetdrill's options by its names, and ours.

use crate::output::usage;
use std::io;
use std::path::PathBuf;
use synfin_packetdrill::run::Settings;
use synfin_packetdrill::script::definition;

/// Which scripts, and how. The long names with underscores are packetdrill's own.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// Scripts, and directories that are searched for *.pkt
    #[arg(required_unless_present = "tcp", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Scripts at the same time; by default as many as there are processors
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<usize>,
    /// Replace the word NAME in scripts by VALUE
    #[arg(long = "define", short = 'D', value_name = "NAME=VALUE")]
    defines: Vec<String>,
    /// Print every conversation, and what was left over
    #[arg(long, short)]
    pub verbose: bool,
    /// Read the scripts and play none: each is skipped, or fails
    #[arg(long = "dry_run")]
    pub dry_run: bool,
    /// Fail too if the last event makes a packet leave that no event takes
    #[arg(long)]
    strict: bool,
    /// Write the packets of one script to FILE, as pcapng
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Write the results to FILE, as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// One JSON object per script instead of lines
    #[arg(long)]
    pub json: bool,
    /// A setting of TCP; `help` lists them
    #[arg(long = "tcp", value_name = "KEY=VALUE")]
    tcp: Vec<String>,
    /// ipv4, ipv6 or ipv4-mapped-ipv6
    #[arg(long = "ip_version", value_name = "VERSION")]
    ip_version: Option<String>,
    /// The address of the host under test
    #[arg(long = "local_ip", value_name = "ADDRESS")]
    local_ip: Option<String>,
    /// The address of its peer
    #[arg(long = "remote_ip", value_name = "ADDRESS")]
    remote_ip: Option<String>,
    /// The port that `bind(fd, ..., ...)` takes
    #[arg(long = "bind_port", value_name = "PORT")]
    bind_port: Option<String>,
    /// The port that `connect(fd, ..., ...)` goes to
    #[arg(long = "connect_port", value_name = "PORT")]
    connect_port: Option<String>,
    /// By how much a time may differ
    #[arg(long = "tolerance_usecs", value_name = "MICROSECONDS")]
    tolerance_usecs: Option<String>,
    /// By how much of the gap to the event before it may differ
    #[arg(long = "tolerance_percent", value_name = "PERCENT")]
    tolerance_percent: Option<String>,
    /// The MTU of the link
    #[arg(long, value_name = "OCTETS")]
    mtu: Option<String>,
    /// The MSS announced, and the most that is sent
    #[arg(long, value_name = "OCTETS")]
    mss: Option<String>,
    /// Compare TSval, whose unit is this long
    #[arg(long = "tcp_ts_tick_usecs", value_name = "MICROSECONDS")]
    tcp_ts_tick_usecs: Option<String>,
    /// An echoed timestamp that no packet had counts from the first
    #[arg(long = "tcp_ts_ecr_scaled")]
    tcp_ts_ecr_scaled: bool,
    /// Take segments as they are: none are put together
    #[arg(long = "strict_segments")]
    strict_segments: bool,
    /// Go on after a failure of packet or syscall
    #[arg(long = "non_fatal", value_name = "WHAT")]
    non_fatal: Option<String>,
    /// Commands before each script's own first one
    #[arg(long = "init_scripts", value_name = "COMMAND,..")]
    init_scripts: Option<String>,
    /// Settings as the adapter library takes them: mtu=, quickack=, and any of TCP
    #[arg(long = "so_flags", value_name = "KEY=VALUE,..")]
    so_flags: Option<String>,
    /// Play on the stack in this library, which has packetdrill's C interface, and not on our own; sysctls are set in a
    /// network namespace of each script
    #[arg(long = "so_filename", value_name = "FILE")]
    pub so_filename: Option<PathBuf>,
    #[command(flatten)]
    ignored: Ignored,
}

/// Options of packetdrill's that say how it reaches a kernel, or what it prints.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Of packetdrill's; without a meaning in virtual time, accepted and ignored")]
#[allow(dead_code)]
struct Ignored {
    #[arg(long = "gateway_ip", value_name = "ADDRESS")]
    gateway_ip: Option<String>,
    #[arg(long = "netmask_ip", value_name = "ADDRESS")]
    netmask_ip: Option<String>,
    #[arg(long, value_name = "MBPS")]
    speed: Option<String>,
    #[arg(long = "is_anyip")]
    is_anyip: bool,
    #[arg(long = "send_omit_free")]
    send_omit_free: bool,
    #[arg(long = "persistent_tun_dev")]
    persistent_tun_dev: bool,
    #[arg(long)]
    local: bool,
    #[arg(long)]
    debug: bool,
    #[arg(long = "code_command", value_name = "COMMAND")]
    code_command: Option<String>,
    #[arg(long = "code_format", value_name = "FORMAT")]
    code_format: Option<String>,
    #[arg(long = "code_sockopt", value_name = "OPTION")]
    code_sockopt: Option<String>,
}

const AFTER: &str = "\
Left over: a packet that left before the last event began, and that no event took, fails the script, which could have
waited for it. Only with --strict does what the last event itself makes leave, and the rest of a burst of which it took
the beginning; packetdrill, which ends there, sees neither. Code and commands at the end only look, and are no such event.

Exit status: 0 nothing failed, 1 something did, 2 usage.";

impl Args {
    /// Whether a list of the settings is all that is wanted.
    pub fn asks_for_settings(&self) -> bool {
        self.tcp.iter().any(|s| s == "help")
    }

    pub fn settings(&self) -> io::Result<Settings> {
        let mut s = Settings::default();
        for (name, value) in [
            ("ip_version", &self.ip_version),
            ("local_ip", &self.local_ip),
            ("remote_ip", &self.remote_ip),
            ("bind_port", &self.bind_port),
            ("connect_port", &self.connect_port),
            ("tolerance_usecs", &self.tolerance_usecs),
            ("tolerance_percent", &self.tolerance_percent),
            ("mtu", &self.mtu),
            ("mss", &self.mss),
            ("tcp_ts_tick_usecs", &self.tcp_ts_tick_usecs),
            ("non_fatal", &self.non_fatal),
            ("init_scripts", &self.init_scripts),
            ("so_flags", &self.so_flags),
            ("gateway_ip", &self.ignored.gateway_ip),
            ("netmask_ip", &self.ignored.netmask_ip),
            ("speed", &self.ignored.speed),
        ] {
            if let Some(v) = value {
                s.option(name, Some(v)).map_err(usage)?;
                // Flags add up, and those of a script say what it is about; any other option counts more from here.
                if name != "so_flags" {
                    s.fixed.push(name.to_string());
                }
            }
        }
        s.strict = self.strict;
        s.strict_segments = self.strict_segments;
        s.ecr_scaled = self.tcp_ts_ecr_scaled;
        for kv in &self.tcp {
            let (key, value) =
                kv.split_once('=').ok_or_else(|| usage(format!("--tcp: expected KEY=VALUE, found {kv:?}")))?;
            s.tcp(key, value).map_err(|e| usage(format!("--tcp: {e}")))?;
        }
        // Without a version here, or with one address, a script may say what fits.
        let given = |name: &str| s.fixed.iter().any(|f| f == name);
        if given("ip_version") || given("local_ip") && given("remote_ip") && s.local() == s.remote() {
            s.check().map_err(|e| usage(e.1))?;
        }
        Ok(s)
    }

    pub fn defines(&self) -> io::Result<Vec<(String, String)>> {
        self.defines.iter().map(|d| definition(d).map_err(|e| usage(format!("--define: {e}")))).collect()
    }
}
