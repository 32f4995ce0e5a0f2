//! The result as a table: language by scenario.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::scenario::Scenario;

/// How one scenario went in one language, or in one pair of languages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    Passed,
    Failed,
    /// The language can't, for a reason that is listed.
    Excepted(String),
    NotRun,
}

impl Mark {
    fn symbol(&self, notes: &mut Vec<String>) -> String {
        match self {
            Mark::Passed => "ok".into(),
            Mark::Failed => "**FAILED**".into(),
            Mark::NotRun => "NOT RUN".into(),
            Mark::Excepted(reason) => {
                let known = notes.iter().position(|note| note == reason);
                let number = known.unwrap_or_else(|| {
                    notes.push(reason.clone());
                    notes.len() - 1
                });
                format!("n/a [{}]", number + 1)
            }
        }
    }
}

/// All results, by scenario, main language and other language.
pub(crate) type Results = BTreeMap<(String, String, String), Mark>;

/// The report as Markdown, and how many passed, failed, were excepted, did not run.
pub(crate) fn report(scenarios: &[Scenario], languages: &[String], results: &Results) -> (String, [usize; 4]) {
    let mut text = String::from(
        "# Conformance\n\nEvery scenario in every language. `n/a`: the language has no such thing, see the notes.\n",
    );
    let mut notes = Vec::new();
    let mark = |scenario: &Scenario, language: &str, other: &str| {
        let key = (scenario.name.clone(), language.to_owned(), other.to_owned());
        results.get(&key).cloned().unwrap_or(Mark::NotRun)
    };
    let rule = "---|".repeat(languages.len());
    let mut area = "";
    for scenario in scenarios.iter().filter(|scenario| !scenario.is_pair()) {
        if scenario.area != area {
            area = &scenario.area;
            let _ = write!(text, "\n## {area}\n\n| scenario | {} |\n|---|{rule}\n", languages.join(" | "));
        }
        let marks = languages.iter().map(|language| mark(scenario, language, language).symbol(&mut notes));
        let _ = writeln!(text, "| {} | {} |", scenario.name, marks.collect::<Vec<_>>().join(" | "));
    }
    for scenario in scenarios.iter().filter(|scenario| scenario.is_pair()) {
        let _ = write!(
            text,
            "\n## {}: {}\n\n| a \\ b | {} |\n|---|{rule}\n",
            scenario.area,
            scenario.name,
            languages.join(" | ")
        );
        for language in languages {
            let marks = languages.iter().map(|other| mark(scenario, language, other).symbol(&mut notes));
            let _ = writeln!(text, "| {language} | {} |", marks.collect::<Vec<_>>().join(" | "));
        }
    }
    if !notes.is_empty() {
        text.push_str("\n## Notes\n\n");
    }
    for (index, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", index + 1);
    }
    let mut counts = [0; 4];
    let _ = write!(text, "\n## Summary\n\n| language | passed | failed | n/a | not run |\n|---|---|---|---|---|\n");
    for language in languages {
        let mut own = [0; 4];
        for scenario in scenarios {
            let others = if scenario.is_pair() { languages } else { std::slice::from_ref(language) };
            for other in others {
                own[match mark(scenario, language, other) {
                    Mark::Passed => 0,
                    Mark::Failed => 1,
                    Mark::Excepted(_) => 2,
                    Mark::NotRun => 3,
                }] += 1;
            }
        }
        let _ = writeln!(text, "| {language} | {} | {} | {} | {} |", own[0], own[1], own[2], own[3]);
        counts.iter_mut().zip(own).for_each(|(all, own)| *all += own);
    }
    let [passed, failed, excepted, not_run] = counts;
    let _ = writeln!(
        text,
        "\n{} scenarios, {} of them in pairs of languages: {passed} passed, {failed} failed, {excepted} n/a, {not_run} not run.",
        scenarios.len(),
        scenarios.iter().filter(|scenario| scenario.is_pair()).count()
    );
    (text, counts)
}
