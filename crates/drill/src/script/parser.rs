//! A script as a whole: options, events, commands.

use super::checks::{Times, arguments, call_name, definition};
use super::spoken::{self, Assigned};
use super::symbols::number;
use super::{Action, Call, Cursor, Event, Expr, OptionLine, Packet, Script, SyntaxError, Time, names};
use std::sync::Arc;

/// The options that packetdrill knows.
const OPTIONS: &[&str] = &[
    "ip_version",
    "local_ip",
    "remote_ip",
    "gateway_ip",
    "netmask_ip",
    "bind_port",
    "connect_port",
    "tolerance_usecs",
    "tolerance_percent",
    "mtu",
    "mss",
    "speed",
    "tcp_ts_tick_usecs",
    "tcp_ts_ecr_scaled",
    "strict_segments",
    "non_fatal",
    "send_omit_free",
    "is_anyip",
    "init_scripts",
    "define",
    "verbose",
    "debug",
    "dry_run",
    "local",
    "wire_client",
    "wire_server",
    "wire_server_ip",
    "wire_server_port",
    "wire_client_dev",
    "wire_server_dev",
    "so_filename",
    "so_flags",
    "code_command",
    "code_format",
    "code_sockopt",
    "persistent_tun_dev",
    "strict",
    // Of FreeBSD's dialect.
    "udp_encapsulation",
    "tcp_md5_secret",
];

pub(super) fn parse(file: &str, text: &str, defines: &[(String, String)]) -> Result<Script, SyntaxError> {
    let file: Arc<str> = file.into();
    // Lines may end as those of other systems do.
    let text = &*text.replace("\r\n", "\n");
    let mut own: Vec<(String, String)> = Vec::new();
    let mut options = Vec::new();
    {
        let mut c = Cursor::new(file.clone(), text, &[]);
        c.space()?;
        while c.rest().starts_with("--") {
            let o = option(&mut c)?;
            if o.name == "define" {
                let text = o.value.as_deref().unwrap_or_default();
                own.push(definition(text).map_err(|message| c.error_at(o.value_at(), format!("--define: {message}")))?);
            }
            options.push(o);
        }
        // What the command line defines counts more.
        own.extend_from_slice(defines);
    }
    let mut c = Cursor::new(file.clone(), text, &own);
    c.space()?;
    while c.rest().starts_with("--") {
        option(&mut c)?;
    }
    let lines = text.lines().map(str::to_string).collect();
    let (mut times, mut assigned) = (Times::default(), Assigned::default());
    let mut script = Script { file, lines, options, init: None, events: Vec::new(), cleanup: None, unsupported: None };
    while !c.at_end() {
        let at = c.place();
        if let Some(line) = c.rest().strip_prefix('#').and_then(|rest| rest.lines().next())
            && PREPROCESSOR.iter().any(|word| line.trim_start().starts_with(word))
        {
            // Which lines count is for a preprocessor to say, which FreeBSD's scripts have before them.
            script.unsupported = Some((at, format!("#{}, a line for a preprocessor", names::short(line))));
            return Ok(script);
        }
        if is_command(&c) {
            let text = command(&mut c)?;
            if script.events.is_empty() && script.init.is_none() {
                script.init = Some((at, text));
            } else if c.at_end() {
                script.cleanup = Some((at, text));
            } else {
                return c.expected("the end of the script after a command without a time");
            }
            continue;
        }
        if script.cleanup.is_some() {
            return c.expected("the end of the script");
        }
        script.events.push(event(&mut c, at, &mut times, &mut assigned)?);
    }
    if script.events.is_empty() {
        return c.expected("an event");
    }
    Ok(script)
}

/// How lines for a preprocessor begin.
const PREPROCESSOR: &[&str] = &["if", "else", "elif", "endif", "define", "undef", "include"];

/// Whether a command comes, or a word that was defined as one.
fn is_command(c: &Cursor<'_>) -> bool {
    c.rest().starts_with('`') || c.defined(c.bare_word()).is_some_and(|v| v.starts_with('`'))
}

fn option(c: &mut Cursor<'_>) -> Result<OptionLine, SyntaxError> {
    let (at, start) = (c.place(), c.clone());
    c.advance(2);
    let name = c.run(|ch| ch.is_ascii_alphanumeric() || ch == '_').to_string();
    if !OPTIONS.contains(&name.as_str()) {
        let like = OPTIONS.iter().filter(|o| o.starts_with(name.get(..2).unwrap_or("?"))).copied().collect::<Vec<_>>();
        let hint = if like.is_empty() { String::new() } else { format!("; there is --{}", like.join(", --")) };
        return start.fail(format!("unknown option --{}{hint}", names::short(&name)));
    }
    let mut value = None;
    if c.rest().starts_with('=') {
        c.advance(1);
        value = Some(c.run(|ch| !ch.is_whitespace()).to_string());
    }
    c.space()?;
    Ok(OptionLine { at, name, value })
}

fn command(c: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let start = c.clone();
    if let Some(value) = c.defined(c.bare_word()) {
        c.word()?;
        let Some(text) = value.strip_prefix('`').and_then(|v| v.strip_suffix('`')) else {
            return start.fail(format!("the command {value} has no end: expected \"`\""));
        };
        // What is wrong in it stands on the command line; its place here is the word.
        spoken::command(text, &Cursor::new(start.file(), text, &[])).or_else(|e| start.fail(e.message))?;
        return Ok(text.to_string());
    }
    c.advance(1);
    match c.rest().find('`') {
        Some(_) => {
            let body = c.clone();
            let text = c.until("`", "command")?;
            spoken::command(text, &body)?;
            Ok(text.to_string())
        }
        None => start.fail("this command has no end: expected \"`\""),
    }
}

fn event<'a>(
    c: &mut Cursor<'a>,
    at: super::Place,
    times: &mut Times,
    assigned: &mut Assigned<'a>,
) -> Result<Event, SyntaxError> {
    let time_at = c.clone();
    let time = time(c)?;
    times.next(time, &time_at)?;
    let is_range = matches!(time, Time::Any | Time::AbsoluteRange(..) | Time::RelativeRange(..));
    let start = c.clone();
    let action = match c.peek() {
        Some('<' | '>') => Action::Packet(Box::new(Packet::parse(c)?)),
        _ if is_command(c) => Action::Command(command(c)?),
        Some('%') if c.rest().starts_with("%{") => {
            c.advance(2);
            let body = c.clone();
            let text = c.until("}%", "code")?;
            spoken::code(text, &body, assigned)?;
            Action::Code(text.to_string())
        }
        Some(ch) if ch == '.' || ch.is_ascii_alphabetic() || ch == '_' => Action::Call(call(c)?),
        _ => return c.expected("a packet (< or >), a system call, a command in backquotes or code in %{ }%"),
    };
    if let (Action::Call(Call { end: Some(end), .. }), Time::Absolute(t) | Time::Relative(t)) = (&action, time)
        && *end < t
    {
        return start.fail("this call returns before it is made");
    }
    let outbound = matches!(&action, Action::Packet(p) if !p.inbound);
    if is_range && !outbound {
        return start.fail("only a packet that leaves may have a range of times, or any time");
    }
    Ok(Event { at, time, action })
}

fn time(c: &mut Cursor<'_>) -> Result<Time, SyntaxError> {
    if c.take("*")? {
        return Ok(Time::Any);
    }
    let relative = c.take("+")?;
    let defined = c.defined(c.bare_word()).is_some();
    if !relative && !defined && !c.peek().is_some_and(|d| d.is_ascii_digit() || d == '.') {
        return c.expected("a time (as 0.5, +.1, 1.0~1.2 or *)");
    }
    let first = c.seconds()?;
    if !c.take("~")? {
        return Ok(if relative { Time::Relative(first) } else { Time::Absolute(first) });
    }
    let start = c.clone();
    if c.take("+")? != relative {
        return start.fail("both ends of a range are relative, or none is");
    }
    let second = c.seconds()?;
    if second < first {
        return start.fail("this range ends before it begins");
    }
    Ok(if relative { Time::RelativeRange(first, second) } else { Time::AbsoluteRange(first, second) })
}

fn call(c: &mut Cursor<'_>) -> Result<Call, SyntaxError> {
    let end = if c.take("...")? { Some(c.seconds()?) } else { None };
    let name_at = c.clone();
    let name = c.word()?.to_string();
    call_name(&name, &name_at)?;
    c.need("(")?;
    let args = Expr::list(c, ")")?;
    c.need("=")?;
    let result = if c.take("?")? { None } else { Some(Expr::parse(c)?) };
    let mut errno = None;
    if c.peek_word().starts_with(|ch: char| ch.is_ascii_uppercase()) {
        let start = c.clone();
        let name = c.word()?;
        names::errno(name).or_else(|e| start.fail(e))?;
        if result.as_ref().is_some_and(|r| number(r) != Ok(-1)) {
            return start.fail("an error stands beside the result -1 only");
        }
        errno = Some(name.to_string());
    }
    // What stands in parentheses is for the reader.
    while c.rest().starts_with('(') {
        c.until(")", "remark")?;
    }
    let call = Call { name, args, result, errno, end };
    arguments(&call, &name_at)?;
    Ok(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Opt, Options, Transport};

    fn one(text: &str) -> Event {
        Script::parse("x.pkt", text, &[]).unwrap_or_else(|e| panic!("{e}")).events.remove(0)
    }

    #[test]
    fn times() {
        for (text, want) in [
            ("0 `x`", Time::Absolute(0)),
            ("0.5 `x`", Time::Absolute(500_000)),
            ("+.1 `x`", Time::Relative(100_000)),
            ("+0.1234567 `x`", Time::Relative(123_456)),
            ("* > . 1:1(0) ack 1", Time::Any),
            ("1.0~1.2 > . 1:1(0) ack 1", Time::AbsoluteRange(1_000_000, 1_200_000)),
            ("+.2 ~ +.3 > . 1:1(0) ack 1", Time::RelativeRange(200_000, 300_000)),
        ] {
            let mut s = Script::parse("x.pkt", &format!("0 `y`\n{text}"), &[]).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(s.events.remove(1).time, want, "{text}");
        }
    }

    #[test]
    fn segments() {
        let Action::Packet(p) =
            one("0 < [ect0] SEW. 0:0(0) ack 1 win 5 urg 2 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>").action
        else {
            panic!("a packet")
        };
        let Transport::Tcp(t) = p.transport else { panic!("a segment") };
        assert_eq!((t.flags.to_string().as_str(), t.ack, t.win, t.urg), ("S.EW", Some(1), Some(5), 2));
        let Options::These(o) = t.options else { panic!("options") };
        assert_eq!(o[0], Opt::Mss(1460));
        assert_eq!(o.iter().map(|o| o.bytes().len()).sum::<usize>(), 20);
        let bytes: Vec<u8> = o.iter().flat_map(Opt::bytes).collect();
        assert_eq!(Opt::read(&bytes), (o, &[][..]));
    }

    #[test]
    fn calls_with_structures_and_an_end() {
        let Action::Call(c) = one(
            "+0...0.3 sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 0}, {..., 40}], msg_flags=0}, MSG_OOB|MSG_PEEK) = -1 EAGAIN (x)",
        )
        .action
        else {
            panic!("a call")
        };
        assert_eq!((c.name.as_str(), c.end, c.errno.as_deref()), ("sendmsg", Some(300_000), Some("EAGAIN")));
        assert_eq!(c.args.len(), 3);
    }

    #[test]
    fn mistakes_have_a_place_a_caret_and_say_what_was_expected() {
        for (text, at, words) in [
            ("--mtuu=5\n0 `x`", (1, 1), "unknown option --mtuu; there is --mtu"),
            ("0 socket(..., SOCK_STREAM) 3", (1, 28), "expected \"=\", found \"3\""),
            ("0 < S 0:0(0) win 5 <mss 1460,sackok>", (1, 30), "expected an option (mss, wscale"),
            ("0 < S 0:5(3) win 5", (1, 9), "the last sequence number is 5, but 0 and 3 octets make 3"),
            ("0 < S 0:0(0)", (1, 13), "expected \"win\""),
            ("0 < Q 0:0(0) win 5", (1, 5), "expected flags"),
            ("0 < S 0:0(0) win 5 <mss 1460,nop>", (1, 20), "these options are 5 octets long: expected a multiple of 4"),
            ("\n  x", (2, 3), "expected a time"),
            ("0 `x", (1, 3), "this command has no end"),
            ("0 %{ x", (1, 5), "this code has no end"),
            ("/* x", (1, 1), "this comment has no end"),
            ("0~1 `x`", (1, 5), "only a packet that leaves may have a range"),
            ("", (1, 1), "expected an event, found the end"),
            ("0 setsockopt(3, SOL_SOCKET, \"x) = 0", (1, 29), "this string has no end"),
            ("99999999999999 `x`", (1, 1), "this time is too far away"),
            ("5 `x`", (1, 1), "expected the first event at time 0, found \"5\""),
            ("0 `x`\n1 `x`\n 0.5 `x`", (3, 2), "this time goes backward: 0.5 after 1"),
            ("0 `x`\n+1...0.5 accept(3, ..., ...) = 4", (2, 3), "this call returns before it is made"),
            ("0 listen(3, 1, 2) = 0", (1, 3), "listen: expected 2 arguments, found 3"),
            ("0 socket(..., SOCK_STREAM) = 3", (1, 3), "socket: expected 3 arguments, found 2"),
            ("0 < icmp nonsense", (1, 10), "is no ICMP type: expected one of"),
            ("0 < icmp unreachable blah [1:1(0)]", (1, 22), "\"blah\" is no code of it: expected one of net_unreach"),
            ("--define=NAME\n0 `x`", (1, 10), "--define: expected NAME=VALUE, found \"NAME\""),
            ("--define\n0 `x`", (1, 9), "--define: expected NAME=VALUE, found \"\""),
            ("--define==3\n0 `x`", (1, 10), "--define: expected NAME=VALUE, found \"=3\""),
            ("0 > . 1:1(0) \u{20ac}\u{20ac}", (1, 14), "expected a time"),
            ("0 close(\u{20ac}) = 0", (1, 9), "expected an argument"),
        ] {
            let e = Script::parse("x.pkt", text, &[]).expect_err(text);
            assert_eq!((e.at.line, e.at.column), at, "{text}: {e}");
            assert!(e.message.contains(words), "{text}: {e}");
            assert!(e.to_string().lines().last().is_some_and(|l| l.chars().count() == 4 + at.1 as usize), "{e}");
        }
    }

    #[test]
    fn defines_replace_words() {
        let d = [("COOKIE".to_string(), "a1b2".to_string()), ("N".to_string(), "7".to_string())];
        let s = Script::parse("x.pkt", "0 < S 0:0(0) win N <FO COOKIE>\n+0 close(N) = N", &d).unwrap();
        let Action::Packet(p) = &s.events[0].action else { panic!("a packet") };
        let Transport::Tcp(t) = &p.transport else { panic!("a segment") };
        assert_eq!((t.win, &t.options), (Some(7), &Options::These(vec![Opt::FastOpen(vec![0xa1, 0xb2])])));
        let Action::Call(c) = &s.events[1].action else { panic!("a call") };
        assert_eq!((&c.args[0], &c.result), (&Expr::Int(7), &Some(Expr::Int(7))));
    }
}
