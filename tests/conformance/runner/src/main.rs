//! Runs the conformance scenarios in every language: see `tests/conformance/README.md`.
//!
//! `realtime-pubsub-conformance FOLDER [--driver LANGUAGE=COMMAND]... [--not-run LANGUAGE=REASON]... [--only TEXT]
//! [--report FILE] [--jobs N]`
//!
//! Exits 0 when all passed, 77 when all that ran passed and a language did not run, 1 otherwise.

mod authority;
mod driver;
mod exceptions;
mod json;
mod pattern;
mod report;
mod run;
mod scenario;
mod scripted;
mod vocabulary;
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use crate::driver::Driver;
use crate::exceptions::Exceptions;
use crate::report::{Mark, Results, report};
use crate::run::{Failure, run};
use crate::scenario::Scenario;

#[derive(Default)]
struct Arguments {
    folder: PathBuf,
    drivers: Vec<(String, String)>,
    not_run: BTreeMap<String, String>,
    only: Option<String>,
    report: Option<PathBuf>,
    jobs: Option<usize>,
}

fn arguments() -> Result<Arguments, String> {
    let mut given = std::env::args().skip(1);
    let mut arguments = Arguments::default();
    while let Some(name) = given.next() {
        if !name.starts_with("--") {
            arguments.folder = name.into();
            continue;
        }
        let value = given.next().ok_or_else(|| format!("{name} wants a value"))?;
        let pair =
            || value.split_once('=').map(|(l, r)| (l.to_owned(), r.to_owned())).ok_or(format!("{name} wants A=B"));
        match name.as_str() {
            "--driver" => arguments.drivers.push(pair()?),
            "--not-run" => arguments.not_run.extend([pair()?]),
            "--only" => arguments.only = Some(value),
            "--report" => arguments.report = Some(value.into()),
            "--jobs" => arguments.jobs = Some(value.parse().map_err(|_| "--jobs wants a number")?),
            _ => return Err(format!("no such option: {name}")),
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let outcome = arguments().and_then(|arguments| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(all(arguments))
    });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(1)
        }
    }
}

async fn all(arguments: Arguments) -> Result<u8, String> {
    let started = Instant::now();
    let mut scenarios = scenario::load(&arguments.folder.join("scenarios"))?;
    let exceptions = Exceptions::load(&arguments.folder.join("exceptions.json"))?;
    if let Some(only) = &arguments.only {
        scenarios.retain(|scenario| scenario.name.contains(only) || scenario.area == *only);
    }
    let starting = arguments.drivers.iter().map(|(language, command)| async move {
        Driver::start(language, command).await.map_err(|error| format!("{language}: {error}"))
    });
    let drivers = futures_util::future::join_all(starting).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let drivers: Vec<_> = drivers.into_iter().map(Arc::new).collect();
    let mut languages: Vec<String> = drivers.iter().map(|driver| driver.language.clone()).collect();
    languages.extend(arguments.not_run.keys().cloned());

    let mut jobs = Vec::new();
    for scenario in &scenarios {
        for main in &drivers {
            let others = drivers.iter().filter(|other| scenario.is_pair() || Arc::ptr_eq(main, other));
            jobs.extend(others.map(|other| (scenario.clone(), Arc::clone(main), Arc::clone(other))));
        }
    }
    let results = Mutex::new(Results::new());
    let slowest = Mutex::new(Vec::new());
    let judge = |(scenario, main, other): (Scenario, Arc<Driver>, Arc<Driver>)| {
        let (results, exceptions, slowest) = (&results, &exceptions, &slowest);
        async move {
            let started = Instant::now();
            let outcome = run(&scenario, &main, &other).await;
            let took = started.elapsed();
            let languages = match scenario.is_pair() {
                true => format!("{} and {}", main.language, other.language),
                false => main.language.clone(),
            };
            let mark = match outcome {
                Ok(()) => Mark::Passed,
                Err(Failure::Failed(why)) => {
                    println!("FAILED  {} in {languages}: {why}\n", scenario.name);
                    Mark::Failed
                }
                Err(Failure::Cannot { language, operation, reason }) => {
                    match exceptions.reason(&language, &operation) {
                        Some(listed) => Mark::Excepted(listed),
                        None => {
                            println!(
                                "FAILED  {} in {languages}: it can't {operation}, which is not listed: {reason}\n",
                                scenario.name
                            );
                            Mark::Failed
                        }
                    }
                }
            };
            let mut slowest = slowest.lock().unwrap_or_else(PoisonError::into_inner);
            slowest.push((took, format!("{} in {languages}", scenario.name)));
            let key = (scenario.name, main.language.clone(), other.language.clone());
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(key, mark);
        }
    };
    futures_util::stream::iter(jobs)
        .map(judge)
        .buffer_unordered(arguments.jobs.unwrap_or(8))
        .collect::<Vec<()>>()
        .await;

    let mut endings = 0;
    for driver in drivers {
        let language = driver.language.clone();
        let driver = Arc::into_inner(driver).ok_or("a driver is still in use")?;
        if let Err(why) = driver.stop().await {
            println!("FAILED  {language}'s driver: {why}\n");
            endings += 1;
        }
    }
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (text, [passed, failed, excepted, not_run]) = report(&scenarios, &languages, &results);
    println!("{text}");
    if let Some(file) = &arguments.report {
        std::fs::write(file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let unused = if arguments.only.is_some() { Vec::new() } else { exceptions.unused(&languages_run(&arguments)) };
    for entry in &unused {
        println!("FAILED  exceptions.json lists what nothing needs: {entry}");
    }
    let mut slowest = slowest.into_inner().unwrap_or_else(PoisonError::into_inner);
    slowest.sort_unstable_by_key(|(took, _)| std::cmp::Reverse(*took));
    for (took, what) in slowest.iter().take(5).filter(|(took, _)| *took > Duration::from_secs(2)) {
        println!("slow    {what}: {:.1} s", took.as_secs_f64());
    }
    for (language, reason) in &arguments.not_run {
        println!("NOT RUN {language}: {reason}");
    }
    println!(
        "conformance: {passed} passed, {failed} failed, {excepted} n/a, {not_run} not run, in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    if failed + endings + unused.len() > 0 || passed == 0 {
        return Ok(1);
    }
    Ok(if arguments.not_run.is_empty() { 0 } else { 77 })
}

fn languages_run(arguments: &Arguments) -> Vec<String> {
    arguments.drivers.iter().map(|(language, _)| language.clone()).collect()
}
