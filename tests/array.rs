//! Array jobs: one plan, children that are killed, late and doubled, one end.

use crate::support::{
    Run, World, assert_same, copy_folder, files, fill_with_everything, hive_at, key, layout_beside,
    program, record, record_with, records, run, signal, until, wait,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// As many units as the archive of [`fill_with_everything`] makes with few files in each.
const SMALL_UNITS: [&str; 4] = ["--unit-size", "40kB", "--partition-by", "region"];

const REPORT: [&str; 3] = ["--quiet", "--report", "json"];

pub(crate) fn plan(world: &World, more: &[&str]) -> Run {
    let places = [world.logs.to_str().unwrap(), world.lake.to_str().unwrap()];
    let layout = layout_beside(more);
    run(["plan", places[0], places[1]].iter().chain(&REPORT).chain(layout).chain(more))
}

/// Makes a plan of many small units.
fn planned(world: &World) -> Value {
    plan(world, &[&["--children", "7"][..], &SMALL_UNITS].concat()).exits(0).json()
}

pub(crate) fn child(world: &World, index: usize, of: usize) -> Child {
    let (index, of) = (index.to_string(), of.to_string());
    let mut child =
        program(["convert", "--plan", world.lake.to_str().unwrap()].iter().chain(&REPORT));
    child.env("AWS_BATCH_JOB_ARRAY_INDEX", index).env("AWS_BATCH_JOB_ARRAY_SIZE", of);
    child.spawn().unwrap()
}

/// Runs an array of so many children, some at once.
pub(crate) fn array(world: &World, of: usize) {
    for indexes in (0..of).collect::<Vec<_>>().chunks(4) {
        let children: Vec<Child> = indexes.iter().map(|index| child(world, *index, of)).collect();
        children.into_iter().for_each(|child| drop(wait(child).exits(0)));
    }
}

pub(crate) fn finish(world: &World, more: &[&str]) -> Run {
    let fixed = ["finish", "--plan", world.lake.to_str().unwrap()];
    run(fixed.iter().chain(&REPORT).chain(more))
}

/// Makes a lake what another one is, and kills `finish` in it after a while.
pub(crate) fn kill_finish(world: &World, ready: &World, after: Duration) {
    world.remove_lake();
    copy_folder(&ready.lake, &world.lake);
    let args = ["finish", "--plan", world.lake.to_str().unwrap(), "--quiet"];
    let mut killed = program(args).spawn().unwrap();
    std::thread::sleep(after);
    let _ = killed.kill();
    wait(killed);
}

/// Rows of every partition of every table, as the catalog has them.
fn rows(world: &World) -> BTreeMap<String, u64> {
    let mut rows = BTreeMap::new();
    let tables = world.lake.join("_trailmill/catalog/databases/trailmill/tables");
    for file in files(&tables).into_iter().filter(|file| file.ends_with("partitions.jsonl")) {
        let table = file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        for line in fs::read_to_string(&file).unwrap().lines() {
            let partition: Value = serde_json::from_str(line).unwrap();
            let count = partition["Parameters"]["numRows"].as_str().unwrap().parse().unwrap();
            rows.insert(format!("{table} {}", partition["Values"]), count);
        }
    }
    rows
}

/// The archive, and the rows that a plain conversion makes of it.
fn everything() -> (World, BTreeMap<String, u64>) {
    let world = World::new();
    fill_with_everything(&world);
    world.convert(&SMALL_UNITS).exits(1);
    let rows = rows(&world);
    assert!(!rows.is_empty());
    world.remove_lake();
    (world, rows)
}

#[track_caller]
fn is_whole(world: &World, want: &BTreeMap<String, u64>, what: &str) {
    assert_eq!(world.leftovers(), Vec::<String>::new(), "{what}");
    assert!(files(&world.lake.join("_trailmill/planned")).is_empty(), "{what}");
    world.is_proved(&[]);
    assert_eq!(rows(world), *want, "{what}");
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
}

#[test]
fn an_array_of_any_size_makes_the_rows_of_a_plain_conversion() {
    let (world, want) = everything();
    for of in [1, 3, 7, 40] {
        let plan = planned(&world);
        assert!(plan["totals"]["units"].as_u64().unwrap() >= 20);

        array(&world, of);
        let report = finish(&world, &[]).exits(1).report();

        assert_eq!(report.units, plan["totals"]["units"].as_u64().unwrap());
        is_whole(&world, &want, &format!("{of} children"));
        let nothing = world.convert(&SMALL_UNITS).exits(0).report();
        assert_eq!((nothing.units, nothing.catalog_changes), (0, 0));
        world.remove_lake();
    }
}

#[test]
fn one_job_without_an_index_takes_the_whole_plan() {
    let (world, want) = everything();
    planned(&world);

    let job = run(["convert", "--plan", world.lake.to_str().unwrap()].iter().chain(&REPORT));
    let report = job.exits(0).report();

    let child = report.child.unwrap();
    assert_eq!((child.index, child.units), (None, report.units));
    finish(&world, &["--allow-quarantine"]).exits(0);
    is_whole(&world, &want, "one job");
}

#[test]
fn children_that_are_killed_late_and_doubled_make_the_same_rows() {
    let (world, want) = everything();
    planned(&world);
    let started = Instant::now();
    array(&world, 3);
    let took = started.elapsed();
    world.remove_lake();

    for round in 0..4 {
        planned(&world);
        for step in 0..6_u32 {
            let children: Vec<Child> =
                [0, 1, 2, 2, 1].iter().map(|index| child(&world, *index, 3)).collect();
            std::thread::sleep(took * (step + round + 1) / 16);
            for mut child in children {
                child.kill().unwrap();
                wait(child);
            }
        }
        finish(&world, &[]);
        // Whether all was done by then or not: twins and more at once.
        let twins: Vec<Child> =
            [0, 0, 1, 1, 2, 2].iter().map(|index| child(&world, *index, 3)).collect();
        let codes: Vec<i32> = twins.into_iter().map(|child| wait(child).code).collect();
        assert!(codes.iter().all(|code| [0, 75].contains(code)), "{codes:?}");

        let code = finish(&world, &[]).code;
        assert!([0, 1].contains(&code), "{code}");
        is_whole(&world, &want, &format!("round {round}"));
        let before = world.snapshot();
        wait(child(&world, 1, 3)).exits(0);
        assert_same(&before, &world.snapshot(), "a child that is late");
        world.remove_lake();
    }
}

#[test]
fn what_a_killed_child_claimed_is_written_by_whoever_takes_its_units() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..50));
    world.put_records(&key("b.json.gz"), &records(20..60));
    plan(&world, &["--children", "2", "--unit-size", "1kB"]).exits(0);
    // The second child claims, and can note nothing as done.
    let folder = files(&world.lake.join("_trailmill/planned")).remove(0);
    let done = folder.parent().unwrap().parent().unwrap().join("done");
    fs::write(&done, "").unwrap();
    let stopped = wait(child(&world, 1, 2));
    assert_eq!(stopped.code, 3, "{}", stopped.stderr);
    fs::remove_file(&done).unwrap();
    for data in world.data_files() {
        fs::remove_file(world.lake.join(data)).unwrap();
    }

    let job = run(["convert", "--plan", world.lake.to_str().unwrap()].iter().chain(&REPORT));

    let report = job.exits(0).report();
    assert_eq!((report.records_written, report.records_duplicate), (60, 30));
    finish(&world, &[]).exits(0);
    world.is_proved(&[]);
}

#[test]
fn sigterm_ends_a_child_with_75_and_its_retry_does_the_rest() {
    let (world, want) = everything();
    planned(&world);
    let done = world.lake.join("_trailmill/planned");
    let is_begun = || files(&done).iter().any(|file| file.parent().unwrap().ends_with("done"));
    let args = ["convert", "--plan", world.lake.to_str().unwrap(), "--memory", "200kB"];
    let child = program(args.iter().chain(&REPORT)).spawn().unwrap();
    until("a unit that is done", is_begun);
    let started = Instant::now();
    signal(&child, "TERM");

    let ended = wait(child);

    assert!(started.elapsed() < Duration::from_secs(20));
    assert!([0, 75].contains(&ended.code), "{}", ended.code);
    if ended.code == 75 {
        let missing = finish(&world, &[]).exits(75).json();
        assert!(missing["missing"].as_u64().unwrap() > 0);
    }
    array(&world, 1);
    finish(&world, &[]).exits(1);
    is_whole(&world, &want, "after SIGTERM");
}

#[test]
fn finish_says_which_units_lack_and_changes_nothing() {
    let (world, _) = everything();
    let plan = planned(&world);
    wait(child(&world, 2, 7)).exits(0);
    let before = world.snapshot();

    let missing = finish(&world, &[]).exits(75).json();

    assert_eq!(missing["units"], plan["totals"]["units"]);
    let children = missing["children"].as_array().unwrap();
    assert!(children.contains(&json!(0)) && !children.contains(&json!(2)), "{children:?}");
    let numbers = missing["numbers"].as_array().unwrap();
    assert_eq!(numbers.len() as u64, missing["missing"].as_u64().unwrap());
    assert_same(&before, &world.snapshot(), "after finish");
}

#[test]
fn finish_killed_at_any_instant_is_finished_by_the_next() {
    const ROUNDS: u32 = 12;
    let (world, want) = everything();
    planned(&world);
    array(&world, 5);
    let ready = World::new();
    copy_folder(&world.lake, &ready.lake);
    let started = Instant::now();
    finish(&world, &[]).exits(1);
    let took = started.elapsed();
    let undisturbed = world.snapshot();

    for round in 0..ROUNDS {
        kill_finish(&world, &ready, took * (2 * round + 1) / (2 * ROUNDS));

        let code = finish(&world, &[]).code;

        assert!([0, 1].contains(&code), "round {round}: {code}");
        is_whole(&world, &want, &format!("round {round}"));
        assert_same(&undisturbed, &world.snapshot(), &format!("round {round}"));
    }
}

#[test]
fn while_a_plan_is_open_only_its_jobs_write() {
    let (world, want) = everything();
    let made = planned(&world);
    wait(child(&world, 0, 3)).exits(0);
    let before = world.snapshot();

    let refused = world.convert(&SMALL_UNITS).exits(75);
    assert!(refused.stderr.contains("open plan"), "{}", refused.stderr);
    let again = planned(&world);
    assert_eq!((again["id"].clone(), again["is_new"].clone()), (made["id"].clone(), json!(false)));
    world.on_lake(&["catalog", "sync"], &["--quiet"]).exits(0);

    let mut after = world.snapshot();
    after.retain(|name, _| before.contains_key(name) || !name.starts_with("_trailmill/catalog"));
    assert_same(&before, &after, "after all of them");
    array(&world, 3);
    finish(&world, &[]).exits(1);
    is_whole(&world, &want, "in the end");
}

#[test]
fn a_plan_that_is_given_up_leaves_nothing() {
    let (world, want) = everything();
    world.convert(&SMALL_UNITS).exits(1);
    let plain = world.snapshot();
    world.remove_lake();
    planned(&world);
    let mut late = child(&world, 1, 7);
    wait(child(&world, 0, 7)).exits(0);
    late.kill().unwrap();
    wait(late);

    world.on_lake(&["plan", "discard"], &[]).exits(0);

    assert!(world.data_files().is_empty());
    assert!(files(&world.lake.join("_trailmill/quarantine")).is_empty());
    let before = world.snapshot();
    let id = files(&world.lake.join("_trailmill/plans"));
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let given_up = id.iter().find(|path| name(path).matches('.').count() == 1).unwrap();
    let args = ["convert", "--plan", given_up.to_str().unwrap()];
    let late = run(args.iter().chain(&REPORT)).exits(0).report();
    assert_eq!(late.child.unwrap().ended, Some(false));
    assert_same(&before, &world.snapshot(), "a child that is late");
    // What a child had on its way when the plan was discarded.
    let on_its_way = "cloudtrail/region=eu-west-1/part-00000003-0123456789abcdef-0000-00.parquet";
    fs::create_dir_all(world.lake.join(on_its_way).parent().unwrap()).unwrap();
    fs::write(world.lake.join(on_its_way), "").unwrap();

    world.convert(&SMALL_UNITS).exits(1);
    is_whole(&world, &want, "converted after that");
    let mut after = world.snapshot();
    // The schema of the plan stays, and nothing names it.
    let is_named = |name: &str| !name.starts_with("_trailmill/schema/") || plain.contains_key(name);
    after.retain(|name, _| !name.starts_with("_trailmill/plans/") && is_named(name));
    assert_same(&plain, &after, "as if there had been no plan");
}

#[test]
fn a_plan_that_is_given_up_again_takes_nothing_from_who_has_its_numbers() {
    let (world, want) = everything();
    let first = planned(&world)["plan"].as_str().unwrap().to_owned();
    run(["plan", "discard", &first]).exits(0);
    planned(&world);
    array(&world, 2);
    run(["plan", "discard", &first]).exits(0);
    finish(&world, &[]).exits(1);
    let before = world.snapshot();

    run(["plan", "discard", &first]).exits(0);

    assert_same(&before, &world.snapshot(), "after all of them");
    is_whole(&world, &want, "after all of them");
}

#[test]
fn copies_of_what_an_earlier_plan_converted_are_found() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..200));
    let parts = ["--children", "2", "--unit-size", "20kB"];
    plan(&world, &parts).exits(0);
    array(&world, 2);
    finish(&world, &[]).exits(0);
    world.put_records(&key("b.json.gz"), &records(150..300));
    world.put_records(&key("c.json.gz"), &records(250..350));

    let made = plan(&world, &parts).exits(0).json();
    array(&world, 2);
    let report = finish(&world, &[]).exits(0).report();

    assert_eq!(made["objects_known"], 1);
    assert_eq!((report.records_written, report.records_duplicate), (150, 100));
    world.is_proved(&[]);
    let nothing = plan(&world, &parts).exits(0).json();
    assert_eq!(nothing["plan"], Value::Null);
    array(&world, 2);
    finish(&world, &[]).exits(0);
}

#[test]
fn copies_stay_where_they_are_wanted() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.put_records(&key(&format!("{name}.json.gz")), &records(0..50));
    }
    plan(&world, &["--children", "3", "--unit-size", "20kB", "--duplicates", "keep"]).exits(0);
    array(&world, 3);

    let report = finish(&world, &[]).exits(0).report();

    assert_eq!((report.records_written, report.records_duplicate), (150, 0));
    world.is_proved(&["--duplicates", "keep"]);
}

#[test]
fn what_children_see_beyond_the_sample_is_in_the_next_plans_schema() {
    let world = World::new();
    let seen_first = record_with(1, "requestParameters", json!({"seenFirst": "x"}));
    world.put_records(&key("a.json.gz"), &[seen_first]);
    let seen_late = record_with(2, "requestParameters", json!({"seenLate": {"deep": [1]}}));
    world.put_records(&key("b.json.gz"), &[seen_late]);
    let one_sample = ["--children", "2", "--unit-size", "1kB", "--sample-objects", "0"];
    plan(&world, &one_sample).exits(0);
    array(&world, 2);

    let report = finish(&world, &[]).exits(0).report();

    let fields = ["cloudtrail_typed.request.seenfirst", "cloudtrail_typed.request.seenlate"];
    assert!(fields.iter().all(|f| report.new_fields.iter().any(|new| new == f)));
    assert_eq!(hive_at(&world.lock(), "request.seenlate.deep").unwrap(), "array<bigint>");
    assert_eq!(world.lock().version, report.schema_version);
    world.is_proved(&[]);
    let seen_again = record_with(3, "requestParameters", json!({"seenLate": {"deep": [7]}}));
    world.put_records(&key("c.json.gz"), &[seen_again]);
    plan(&world, &one_sample).exits(0);
    array(&world, 2);
    let report = finish(&world, &[]).exits(0).report();
    assert_eq!((report.nested_values_unfit, report.new_fields.len()), (0, 0));
    world.on_lake(&["catalog", "diff"], &[]).exits(0);
}

#[test]
fn a_sample_gives_children_the_schema_before_they_begin() {
    let world = World::new();
    let odd = record_with(2, "requestParameters", json!({"onlyInPlan": true}));
    world.put_records(&key("a.json.gz"), &[record(1), odd]);

    let made = plan(&world, &["--children", "1"]).exits(0).json();

    let fields = made["new_fields"].as_array().unwrap();
    assert!(fields.contains(&json!("cloudtrail_typed.request.onlyinplan")), "{fields:?}");
    array(&world, 1);
    let report = finish(&world, &[]).exits(0).report();
    assert_eq!(report.schema_version, made["schema"]["version"].as_u64().unwrap() as u32);
    world.is_proved(&[]);
}

#[test]
fn an_object_that_changed_since_it_was_planned_is_left_out_and_converted_by_the_next_run() {
    for change in [true, false] {
        let world = World::new();
        let path = world.put_records(&key("a.json.gz"), &records(0..20));
        world.put_records(&key("b.json.gz"), &records(100..110));
        plan(&world, &["--children", "1"]).exits(0);
        if change {
            world.put_records(&key("a.json.gz"), &records(0..30));
        } else {
            fs::remove_file(&path).unwrap();
        }

        let done = wait(child(&world, 0, 1)).exits(0).report();
        let report = finish(&world, &[]).exits(1).report();

        assert_eq!((done.objects_unavailable, report.objects_unavailable), (1, 1));
        assert_eq!(report.records_written, 10);
        let next = world.convert(&[]);
        assert_eq!(next.exits(0).report().records_written, if change { 30 } else { 0 });
        world.is_proved(&[]);
    }
}

#[test]
fn damaged_documents_of_a_plan_are_errors_that_name_them() {
    let (world, _) = everything();
    planned(&world);
    wait(child(&world, 0, 2)).exits(0);
    let kinds = ["plans/", "/parts/", "/done/", "/claims/"];
    for kind in kinds {
        let all = files(&world.lake.join("_trailmill"));
        let file = all.iter().find(|file| file.to_str().unwrap().contains(kind)).unwrap();
        let whole = fs::read(file).unwrap();
        for bytes in [&b""[..], b"garbage", &whole[..whole.len() / 2]] {
            fs::write(file, bytes).unwrap();
            let mut codes = vec![wait(child(&world, 1, 2)).code, wait(child(&world, 0, 2)).code];
            // A claim that every unit has used is read by nobody.
            if kind != "/claims/" {
                let last = finish(&world, &[]);
                assert!(!last.stderr.contains("panicked"), "{kind}: {}", last.stderr);
                codes.push(last.code);
                assert!(codes.contains(&3), "{kind}: {codes:?}");
            }
            assert!(codes.iter().all(|code| [0, 3, 75].contains(code)), "{kind}: {codes:?}");
        }
        fs::write(file, whole).unwrap();
    }
}

#[test]
fn options_that_a_plan_decides_are_not_a_childs() {
    let world = World::new();
    world.put_records(&key("a.json.gz"), &records(0..5));
    plan(&world, &["--children", "1"]).exits(0);
    let lake = world.lake.to_str().unwrap();
    let logs = world.logs.to_str().unwrap();
    for wrong in [
        &["convert", "--plan", lake, "--no-typed"][..],
        &["convert", "--plan", lake, "--from", "2024-05-01"],
        &["convert", "--plan", lake, "--catalog", "none"],
        &["convert", "--plan", lake, "--database", "other"],
        &["convert", "--plan", lake, "--no-create-database"],
        &["convert", "--plan", lake, "--glue-endpoint-url", "http://127.0.0.1:9"],
        &["convert", "--plan", lake, "--partition-index"],
        &["convert", "--plan", lake, "--integrity", "record"],
        &["convert", "--plan", lake, "--from-digests"],
        &["convert", "--plan", lake, "--restore"],
        &["convert", "--plan", lake, "--allow-quarantine"],
        &["convert", "--plan", lake, logs, lake],
        &["convert", logs, lake, "--array-index", "0"],
        &["convert", "--plan", lake, "--array-index", "3", "--array-size", "3"],
        &["convert", "--plan", lake, "--array-size", "3"],
        &["plan", "discard", ""],
        &["convert", logs],
        &["convert"],
        &["convert", "--plan", logs],
        &["convert", "--plan", &format!("{lake}/_trailmill/plans/00000009-0000000000000000.json")],
        &["finish", "--plan", lake, "--database", "other"],
        &["finish"],
        &["plan", logs, lake, "--children", "0"],
        &["plan", logs, lake, "--children", "10001"],
        &["plan", logs, lake, "--sample-objects", "3"],
        &["plan", logs, lake, "--children", "2", "--strict"],
        &["plan", "show"],
        &["plan", "discard", logs],
    ] {
        run(wrong).exits(2);
    }
}

#[test]
fn a_plan_can_be_looked_at_before_and_after() {
    let (world, _) = everything();
    let made = planned(&world);
    let show = |more: &[&str]| {
        let more = [more, &["--report", "json"]].concat();
        world.on_lake(&["plan", "show"], &more).exits(0).json()
    };

    let priced = show(&["--vcpu-price", "0.04", "--put-price", "0.005", "--children", "10"]);
    let text = world.on_lake(&["plan", "show"], &[]).exits(0).text();

    assert_eq!(priced["document"]["totals"], made["totals"]);
    assert_eq!((&priced["units_done"], &priced["ended"]), (&json!(0), &Value::Null));
    assert!(priced["estimate"]["dollars"].as_f64().unwrap() > 0.0);
    assert_eq!(show(&[])["estimate"]["dollars"], Value::Null, "no hidden prices");
    assert!(text.contains("open, made") && text.contains("7 children"), "{text}");
    array(&world, 2);
    finish(&world, &[]).exits(1);
    let plan = made["plan"].as_str().unwrap();
    let after = run(["plan", "show", plan, "--report", "json"]).exits(0).json();
    assert_eq!(after["ended"], "finished");
}

#[test]
fn every_unit_is_a_line_of_the_log_and_a_metric_if_wanted() {
    let (world, _) = everything();
    planned(&world);
    let lake = world.lake.to_str().unwrap();

    let args = ["--metrics", "emf", "--report", "json", "--log-format", "json"];
    let job = run(["convert", "--plan", lake].iter().chain(&args)).exits(0);

    let units = job.report().units as usize;
    let lines: Vec<Value> =
        job.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<&Value> = lines.iter().filter(|line| line["event"] == "unit").collect();
    assert_eq!(told.len(), units);
    let sum = |name: &str| told.iter().map(|line| line[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("records_read"), job.report().records_read);
    let metrics: Vec<&Value> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    assert_eq!(metrics.len(), units + 1);
    let written = metrics.iter().filter_map(|line| line["RecordsWritten"].as_f64()).sum::<f64>();
    assert_eq!(written as u64, job.report().records_written);
}
