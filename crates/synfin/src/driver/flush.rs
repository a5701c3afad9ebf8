//! The way out: from the stack to the device.

use super::{Shard, Sniffed};
use crate::outbox::Written;
use std::io::IoSlice;
use synfin_device::{Transmit, VirtioNetHdr};
use synfin_stack::engine::probe::Watch;
use synfin_stack::{Checksum, TxFrame};

/// A frame that was taken from the stack and not by the device.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    offload: VirtioNetHdr,
}

impl Shard {
    /// Writes frames until there are none, or the device is full.
    ///
    /// A frame that the device refuses is offered again, or another in its place. Where somebody watches that would show it twice,
    /// and ask twice whether it is to be lost; so the frame that was shown is kept, and the stack believes it gone.
    pub(crate) fn flush(&mut self) {
        let now = self.now();
        let Shard { stack, device, link, outbox, log, observer, blocked, held, broken, .. } = self;
        let mut lost = *broken;
        let written = outbox.as_ref().map_or(Written::All, |o| o.write_again());
        if let Written::Gone(kind) = written {
            lost = Some(kind);
        }
        *blocked = written == Written::Stuck;
        let mut put = |pieces: &[IoSlice<'_>], offload| {
            if lost.is_some() {
                return true; // as on a cable that is cut
            }
            let sent = match outbox {
                Some(o) => o.send(pieces, offload),
                None => device.send(&Transmit { pieces, offload }),
            };
            sent.unwrap_or_else(|e| {
                lost = Some(e.kind());
                true
            })
        };
        match held {
            Some(h) if *blocked || !put(&[IoSlice::new(&h.bytes)], h.offload) => *blocked = true,
            _ => *held = None,
        }
        let mut sink = |f: &TxFrame<'_>| {
            if *blocked {
                return false;
            }
            let Some(log) = log.as_deref_mut() else {
                *blocked = !gathered(f, &mut put);
                return !*blocked;
            };
            let bytes = f.to_vec();
            if !log.packet(Sniffed { at: now, out: true, bytes: &bytes }) {
                return true;
            }
            *blocked = !put(&[IoSlice::new(&bytes)], offload(f));
            if *blocked {
                *held = Some(Held { bytes, offload: offload(f) });
            }
            true
        };
        loop {
            let sent = match observer {
                None => stack.poll_frame(now, &mut (), *link, &mut sink),
                Some(o) => stack.poll_frame(now, &mut Watch::new(&mut **o), *link, &mut sink),
            };
            if !sent {
                break;
            }
            self.drained = true;
        }
        if let Some(kind) = lost {
            self.break_link(kind);
        }
    }
}

/// What the device is to do about a frame.
fn offload(f: &TxFrame<'_>) -> VirtioNetHdr {
    VirtioNetHdr {
        csum: match f.checksum {
            Checksum::Complete => None,
            Checksum::Partial { start, offset } => Some((start, offset)),
        },
        data_valid: false,
        gso: f.gso.map(|g| (f.ipv4, g.size, g.header_len)),
    }
}

/// Hands the pieces of a frame to `put`, which says whether they were taken.
fn gathered(f: &TxFrame<'_>, put: &mut impl FnMut(&[IoSlice<'_>], VirtioNetHdr) -> bool) -> bool {
    let mut pieces = [IoSlice::new(&[]); 64];
    pieces[0] = IoSlice::new(f.header);
    let mut n = 1;
    let mut rest = f.payload.clone();
    while n < pieces.len()
        && let Some(p) = rest.next()
    {
        pieces[n] = IoSlice::new(p);
        n += 1;
    }
    if rest.is_empty() {
        return put(&pieces[..n], offload(f));
    }
    // More pieces than one call gathers: the text of very small writes. It is copied together.
    put(&[IoSlice::new(&f.to_vec())], offload(f))
}
