//! SHA-1, for `mysql_native_password` only: a dependency would make the stand-in larger than all
//! the rest of it.

/// The digest of the concatenated `parts`.
pub fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut bytes: Vec<u8> = parts.concat();
    let bits = (bytes.len() as u64) * 8;
    bytes.push(0x80);
    while bytes.len() % 64 != 56 {
        bytes.push(0);
    }
    bytes.extend(bits.to_be_bytes());
    let mut h: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    for block in bytes.chunks_exact(64) {
        let mut w: Vec<u32> =
            block.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]])).collect();
        for i in 16..80 {
            w.push((w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = h;
        for (i, word) in w.iter().enumerate() {
            let (f, k) = match i {
                0..20 => ((b & c) | (!b & d), 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in h.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut out = [0; 20];
    for (to, word) in out.chunks_exact_mut(4).zip(h) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    out
}

/// What a server keeps of a password: the digest of its digest; nothing when there is no password.
pub fn kept(password: &str) -> String {
    if password.is_empty() { String::new() } else { hex(&sha1(&[&sha1(&[password.as_bytes()])])) }
}

/// Whether `answer` to `nonce` proves knowledge of the password of which `kept` is kept.
pub fn proves(answer: &[u8], nonce: &[u8], kept: &str) -> bool {
    let Some(stored) = unhex(kept).filter(|s| !s.is_empty()) else { return answer.is_empty() };
    let mask = sha1(&[nonce, &stored]);
    let first: Vec<u8> = answer.iter().zip(mask).map(|(a, m)| a ^ m).collect();
    answer.len() == 20 && sha1(&[&first])[..] == stored[..]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        assert_eq!(hex(&sha1(&[b"abc"])), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(&sha1(&[&[b'a'; 100]])), "7f9000257a4918d7072655ea468540cdcbd42e0c");
    }

    #[test]
    fn only_the_right_password_is_proved() {
        let (nonce, stored) = ([7; 20], kept("secret"));
        let answer = |password: &str| -> Vec<u8> {
            let first = sha1(&[password.as_bytes()]);
            let mask = sha1(&[&nonce, &sha1(&[&first])]);
            first.iter().zip(mask).map(|(a, m)| a ^ m).collect()
        };
        assert!(
            proves(&answer("secret"), &nonce, &stored)
                && !proves(&answer("other"), &nonce, &stored)
                && !proves(&[], &nonce, &stored)
        );
        assert!(proves(&[], &nonce, &kept("")) && !proves(&answer("secret"), &nonce, &kept("")));
    }
}
