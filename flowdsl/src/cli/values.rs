//! The values of options: times, rates, sizes and strategies, read from what a person types.

use std::str::FromStr;
use std::time::Duration;

use crate::RestartStrategy;

/// How often something is done: an interval such as `50ms`, `1s`, `5min` or `2h`, or `off`.
///
/// # Examples
///
/// ```
/// use flowdsl::cli::Every;
/// use std::time::Duration;
///
/// assert_eq!("50ms".parse(), Ok(Every::Interval(Duration::from_millis(50))));
/// assert_eq!("off".parse(), Ok(Every::Off));
/// assert!("50".parse::<Every>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Never.
    Off,
    /// Each time that this much has passed; never zero.
    Interval(Duration),
}

impl Every {
    /// The interval, if it is not off.
    pub const fn interval(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Interval(interval) => Some(interval),
        }
    }
}

/// The units of an interval, in milliseconds.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(
                "write a whole number with a unit, such as `50ms`, `1s`, `5min` or `2h`, or `off`"
                    .to_owned(),
            );
        }
        let unit = unit.trim_start();
        let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(match unit {
                "" => format!(
                    "`{number}` has no unit: write `{number}ms`, `{number}s`, `{number}min` or `{number}h`"
                ),
                "m" => format!(
                    "`m` is no unit here: write `{number}min` for minutes, `{number}ms` for milliseconds"
                ),
                other => format!("`{other}` is no unit: the units are `ms`, `s`, `min` and `h`"),
            });
        };
        let total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*millis));
        match total {
            Some(0) => {
                Err("an interval of zero never ends: write `off`, or at least `1ms`".to_owned())
            }
            Some(total) => Ok(Self::Interval(Duration::from_millis(total))),
            None => Err(format!(
                "`{text}` is longer than time lasts here: write `off` if it should not happen"
            )),
        }
    }
}

/// Reads a rate: a positive number of records a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .parse()
        .map_err(|_| "write a number of records a second, such as `20000`".to_owned())?;
    if rate.is_finite() && rate > 0.0 {
        Ok(rate)
    } else {
        Err("the rate must be more than zero".to_owned())
    }
}

/// Reads how many times faster something is than something else.
pub(super) fn times(text: &str) -> Result<f64, String> {
    let times: f64 = text
        .parse()
        .map_err(|_| "write a number, such as `5` for five times as fast".to_owned())?;
    if times.is_finite() && times > 0.0 {
        Ok(times)
    } else {
        Err("it must be more than zero".to_owned())
    }
}

/// The units of a size, in bytes.
const SIZES: [(&str, usize); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads a size: a whole number with a unit.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = SIZES.iter().find(|(name, _)| *name == unit.trim_start());
    let size = number.parse::<usize>().ok().zip(unit);
    size.and_then(|(number, (_, bytes))| number.checked_mul(*bytes))
        .ok_or_else(|| "write a whole number with a unit, such as `64MiB` or `2GiB`".to_owned())
}

/// Reads a length of time.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    match text.parse()? {
        Every::Interval(span) => Ok(span),
        Every::Off => Err("write a time, such as `30s`".to_owned()),
    }
}

/// Reads a restart strategy.
pub(super) fn restart(text: &str) -> Result<RestartStrategy, String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        ["none"] => Ok(RestartStrategy::None),
        ["exponential"] => Ok(RestartStrategy::default()),
        ["exponential", first, longest] => Ok(RestartStrategy::ExponentialDelay {
            first: span(first)?,
            longest: span(longest)?,
            factor: 1.5,
            reset_after: Duration::from_secs(3_600),
        }),
        ["fixed", attempts, delay] => Ok(RestartStrategy::FixedDelay {
            attempts: count(attempts)?,
            delay: span(delay)?,
        }),
        ["rate", failures, within, delay] => Ok(RestartStrategy::FailureRate {
            failures: count(failures)?,
            within: span(within)?,
            delay: span(delay)?,
        }),
        _ => Err(
            "write `none`, `fixed:3:10s`, `exponential:1s:1min` or `rate:3:5min:10s`".to_owned(),
        ),
    }
}

fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is no number: write how many, such as `3`"))
}
