//! As much of DNS (RFC 1035) as one question and one answer take: the scenes look a name up over our UDP socket. The
//! resolver of the library is another matter.

use std::net::Ipv4Addr;

/// A question for the IPv4 address of `name`.
pub(crate) fn question(id: u16, name: &str) -> Vec<u8> {
    let mut b = vec![0; 12];
    b[..2].copy_from_slice(&id.to_be_bytes());
    b[2] = 1; // recursion desired
    b[5] = 1; // one question
    for label in name.split('.') {
        b.push(label.len() as u8);
        b.extend_from_slice(label.as_bytes());
    }
    b.extend_from_slice(&[0, 0, 1, 0, 1]);
    b
}

/// The answer to a question: this address.
pub(crate) fn answer(question: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let mut b = question.get(..12)?.to_vec();
    b[2] |= 0x84; // an answer, authoritative
    b[7] = 1;
    b.extend_from_slice(question.get(12..)?);
    b.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    b.extend_from_slice(&address.octets());
    Some(b)
}

/// The address in an answer of the form above.
pub(crate) fn address(id: u16, answer: &[u8]) -> Option<Ipv4Addr> {
    let ours = answer.get(..2)? == id.to_be_bytes() && answer.get(7) == Some(&1);
    let last: [u8; 4] = *answer.last_chunk::<4>()?;
    ours.then(|| Ipv4Addr::from(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_and_answer() {
        let q = question(7, "www.example.test");
        let a = answer(&q, Ipv4Addr::new(192, 0, 2, 1)).unwrap();
        assert_eq!(address(7, &a), Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(address(8, &a), None);
        assert_eq!(address(7, &q), None);
    }
}
