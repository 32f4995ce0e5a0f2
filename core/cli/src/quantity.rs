//! Durations and sizes as arguments: `500ms`, `10s`, `2h`; `64KiB`, `1MiB`.

use std::time::Duration;

/// A duration: a number and `ms`, `s`, `m`, `h` or `d`; seconds without.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("{unit:?} is no unit of time: ms, s, m, h and d are")),
    };
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0, and not for ever".into()),
    }
}

/// A number of bytes: a number and `KiB`, `MiB` or `GiB` (or `K`, `M`, `G`); bytes without.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text)?;
    let bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(format!("{unit:?} is no unit of size: KiB, MiB and GiB are")),
    };
    let bytes = number * bytes;
    // Beyond 2^53 a float skips numbers; nobody has such a limit.
    if (1.0..9e15).contains(&bytes) {
        Ok(bytes as usize)
    } else {
        Err("must be at least 1, and not without end".into())
    }
}

fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    match number.parse::<f64>() {
        Ok(number) => Ok((number, unit.trim())),
        Err(_) => Err("must begin with a number".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2 h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "0", "s", "-1s", "1 fortnight", "1e9", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1m"), Ok(1 << 20));
        assert_eq!(size("1000"), Ok(1000));
        for wrong in ["", "0", "KiB", "1 TB", "-1", "9999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
