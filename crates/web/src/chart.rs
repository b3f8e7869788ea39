//! Charts as SVG, made here: a bar of parts, and bars of weeks.
//!
//! **Invariants:** a chart has a title and says its numbers in its description; colours come by classes from the tokens;
//! bars begin at zero. Numbers and labels stand beside it as text, and in a table beneath: the drawing is stretched to the
//! page's width, and text in it would be, too.

/// How wide a drawing is, in units of its own.
const WIDE: u64 = 1_000;
/// How high bars of weeks are.
const HIGH: u64 = 100;
/// The part of a week's place that is left free.
const GAP: u64 = 6;

/// A text in SVG.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The drawing with its title and description, which `id` tells apart from others on the page.
fn drawing(id: &str, class: &str, high: u64, (title, told): (&str, &str), shapes: &str) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {WIDE} {high}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-told\"><title id=\"{id}-title\">{}</title><desc id=\"{id}-told\">{}</desc>{shapes}</svg>",
        plain(title),
        plain(told)
    )
}

/// A bar of parts, each as wide as its share; the first four in the colours of the rungs. Nothing where there is nobody.
pub fn chart_of_parts(id: &str, title: &str, parts: &[(String, u64)]) -> String {
    let all: u64 = parts.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return String::new();
    }
    let (mut before, mut shapes) = (0, String::new());
    for (nth, (_, count)) in parts.iter().enumerate() {
        // From sum to sum, so that the parts fill the bar.
        let (from, to) = (before * WIDE / all, (before + count) * WIDE / all);
        before += count;
        let class = (nth + 1).min(4);
        shapes.push_str(&format!(
            "<rect class=\"rung-{class}\" x=\"{from}\" y=\"0\" width=\"{}\" height=\"24\"></rect>",
            to - from
        ));
    }
    let told: Vec<String> = parts.iter().map(|(label, count)| format!("{label}: {count}")).collect();
    drawing(id, "ladder", 24, (title, &told.join(". ")), &shapes)
}

/// Bars of weeks, the oldest first, from zero to the highest. Nothing without weeks.
pub fn chart_of_weeks(id: &str, title: &str, weeks: &[(String, u64)]) -> String {
    let highest = weeks.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let place = WIDE / (weeks.len() as u64).max(1);
    let bar = |(nth, (label, count)): (usize, &(String, u64))| {
        let (x, high) = (nth as u64 * place, count * HIGH / highest);
        format!(
            "<rect class=\"bar\" x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{high}\"><title>{}: {count}</title></rect>",
            HIGH - high,
            place.saturating_sub(GAP),
            plain(label)
        )
    };
    let shapes: String = weeks.iter().enumerate().map(bar).collect();
    let told: Vec<String> = weeks.iter().map(|(label, count)| format!("{label}: {count}")).collect();
    if weeks.is_empty() { String::new() } else { drawing(id, "weeks", HIGH, (title, &told.join(". ")), &shapes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(counts: &[u64]) -> Vec<(String, u64)> {
        counts.iter().enumerate().map(|(nth, count)| (format!("p{nth}"), *count)).collect()
    }

    #[test]
    fn parts_fill_the_bar_and_are_told() {
        let drawn = chart_of_parts("ladder", "Supporters by <rung>", &named(&[1, 1, 1]));
        assert!(drawn.contains("x=\"0\" y=\"0\" width=\"333\"") && drawn.contains("x=\"666\" y=\"0\" width=\"334\""));
        assert!(drawn.contains("<title id=\"ladder-title\">Supporters by &lt;rung&gt;</title>"), "{drawn}");
        assert!(drawn.contains(">p0: 1. p1: 1. p2: 1</desc>") && drawn.contains("role=\"img\""), "{drawn}");
        assert!(!drawn.contains("style=") && !drawn.contains("fill="), "colours come by classes");
        assert_eq!(chart_of_parts("ladder", "Nobody", &named(&[0, 0])), "");
    }

    #[test]
    fn weeks_begin_at_zero_and_reach_the_highest() {
        let drawn = chart_of_weeks("talks", "One-to-ones a week", &named(&[0, 5, 10]));
        assert!(drawn.contains("y=\"100\" width=\"327\" height=\"0\""), "{drawn}");
        assert!(drawn.contains("y=\"50\" width=\"327\" height=\"50\""), "{drawn}");
        assert!(drawn.contains("y=\"0\" width=\"327\" height=\"100\""), "{drawn}");
        assert!(
            chart_of_weeks("talks", "None", &named(&[0])).contains("height=\"0\""),
            "nothing is no division by zero"
        );
        assert_eq!(chart_of_weeks("talks", "None", &[]), "");
    }
}
