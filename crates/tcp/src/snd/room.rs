//! How much the user may write: the send buffer grows with the congestion window.

use super::Snd;
use crate::buf::Memory;
use crate::config::TcpConfig;

impl Snd {
    /// The size of the send buffer, in octets: for the window that is out, and for as much again that waits until it moves.
    /// In recovery more is out than cwnd says.
    pub fn buffer(&self, cfg: &TcpConfig, memory: Memory) -> u32 {
        match memory {
            Memory::Plenty => {
                let window = self.window.cwnd.max(self.flight());
                window.saturating_mul(2).max(cfg.snd_buf_initial)
            }
            Memory::Scarce => cfg.snd_buf_initial,
            Memory::Full if self.queue.is_empty() => LEAST,
            Memory::Full => 0,
        }
        .min(cfg.snd_buf_max)
    }

    /// What of it is free. Half of what the text pins is charged, if that is more than the text.
    pub fn room(&self, cfg: &TcpConfig, memory: Memory) -> u32 {
        let pinned = (self.queue.pinned() / 2).min(u32::MAX as usize) as u32;
        self.buffer(cfg, memory).saturating_sub(self.queue.len().max(pinned))
    }

    /// Whether a user who waits for room is told: it should be worth waking up for.
    pub fn has_room(&self, cfg: &TcpConfig, memory: Memory) -> bool {
        let room = self.room(cfg, memory);
        room >= self.buffer(cfg, memory) / 3 && self.is_writable(cfg, memory)
    }

    /// Whether there is as much room as `snd-lowat` asks for.
    pub fn is_writable(&self, cfg: &TcpConfig, memory: Memory) -> bool {
        let room = self.room(cfg, memory);
        room > 0 && room >= cfg.snd_lowat.min(self.buffer(cfg, memory))
    }
}

/// What may be written where there is no memory, if nothing else waits (`tcp_wmem[0]` of Linux).
const LEAST: u32 = 4_096;

#[cfg(test)]
mod tests {
    use crate::buf::Pool;
    use crate::snd::SendQueue;
    use synfin_wire::SeqNum;

    #[test]
    fn small_writes_are_charged_by_their_text_and_not_by_the_buffers_that_have_room_for_more() {
        let (mut q, mut pool) = (SendQueue::new(SeqNum(0)), Pool::default());
        (0..40).for_each(|_| q.push_copy(&[7; 100], &mut pool));
        assert!(q.pinned() / 2 < 40_000 && q.len() == 4_000);
        assert_eq!(pool.held(), q.pinned());
        q.acknowledge(SeqNum(4_000), &mut pool);
        assert_eq!(pool.held(), 0);
    }
}
