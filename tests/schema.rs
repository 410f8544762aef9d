//! The nested columns: what is inferred, what is locked, and that nothing locked ever moves.

use crate::support::{World, hive_at, key, record_text_with_request, record_with, run};
use serde_json::{Value, json};
use trailmill::family::Family;
use trailmill::schema::{Kind, Lock, MAX_LEAVES, MAX_TYPE_CHARS};

/// Puts records with these request parameters, one object each.
fn world_of_requests(requests: &[Value]) -> World {
    let world = World::new();
    for (n, request) in requests.iter().enumerate() {
        let record = record_with(n as u64, "requestParameters", request.clone());
        world.put_records(&key(&format!("{n:03}.json")), &[record]);
    }
    world
}

/// What `schema infer --bare` says of the logs.
fn inferred(world: &World) -> Lock {
    let logs = world.logs.to_str().unwrap();
    let shown = run(["schema", "infer", "--bare", logs, "--report", "json"]).exits(0);
    serde_json::from_slice(&shown.stdout).unwrap()
}

/// Infers the type of one member seen with these values; converts, and proves, them too.
#[track_caller]
fn type_of(values: &[Value]) -> Option<String> {
    let requests: Vec<_> = values.iter().map(|value| json!({ "tmProbe": value })).collect();
    let world = world_of_requests(&requests);
    world.convert(&[]).exits(0);
    world.is_proved(&[]);
    let locked = hive_at(&world.lock(), "request.tmprobe");
    assert_eq!(locked, hive_at(&inferred(&world), "request.tmprobe"), "infer foretells convert");
    let backwards: Vec<_> = requests.iter().rev().cloned().collect();
    let other = inferred(&world_of_requests(&backwards));
    assert_eq!(locked, hive_at(&other, "request.tmprobe"), "the order of records matters");
    locked
}

fn names(lock: &Lock, column: &str) -> Vec<String> {
    let Kind::Struct(fields) = &lock.column(Family::Events, column).unwrap().kind else { panic!() };
    fields.iter().map(|field| field.name.clone()).collect()
}

#[test]
fn scalars_have_their_types() {
    assert_eq!(type_of(&[json!(true)]).unwrap(), "boolean");
    assert_eq!(type_of(&[json!(7)]).unwrap(), "bigint");
    assert_eq!(type_of(&[json!(7.5)]).unwrap(), "double");
    assert_eq!(type_of(&[json!("x")]).unwrap(), "string");
}

#[test]
fn an_integral_double_and_an_integer_are_a_bigint() {
    assert_eq!(type_of(&[json!(931), json!(243.0)]).unwrap(), "bigint");
}

#[test]
fn integers_and_fractions_are_a_double() {
    assert_eq!(type_of(&[json!(1), json!(0.5)]).unwrap(), "double");
}

#[test]
fn a_number_and_a_string_are_a_string() {
    assert_eq!(type_of(&[json!(1000), json!("1000")]).unwrap(), "string");
}

#[test]
fn a_boolean_and_a_string_are_a_string() {
    assert_eq!(type_of(&[json!(true), json!("true")]).unwrap(), "string");
}

#[test]
fn a_policy_as_string_array_and_object_is_text() {
    let seen = [json!("{}"), json!([{"a": 1}]), json!({"Statement": [{"Action": "*"}]})];
    assert_eq!(type_of(&seen).unwrap(), "string");
}

#[test]
fn an_array_and_a_string_are_text() {
    assert_eq!(type_of(&[json!(["a"]), json!("a")]).unwrap(), "string");
}

#[test]
fn an_array_and_an_object_are_text() {
    assert_eq!(type_of(&[json!([{"key": "a"}]), json!({"a": "b"})]).unwrap(), "string");
}

#[test]
fn a_boolean_and_an_object_are_text() {
    assert_eq!(type_of(&[json!(true), json!({"value": true})]).unwrap(), "string");
}

#[test]
fn an_action_as_string_and_array_inside_a_list_is_text() {
    let seen = [
        json!({"Statement": [{"Action": "s3:*"}]}),
        json!({"Statement": [{"Action": ["a", "b"], "Sid": "x"}]}),
    ];
    let seen = type_of(&seen).unwrap();
    assert_eq!(seen, "struct<statement:array<struct<action:string,sid:string>>>");
}

#[test]
fn an_array_of_mixed_scalars_is_an_array_of_strings() {
    assert_eq!(type_of(&[json!([1, "a", null])]).unwrap(), "array<string>");
}

#[test]
fn an_empty_object_and_an_empty_array_have_no_type_yet() {
    for empty in [json!({}), json!([]), Value::Null, json!([{}]), json!({"a": {}})] {
        assert_eq!(type_of(std::slice::from_ref(&empty)), None, "{empty}");
    }
}

#[test]
fn an_empty_object_takes_the_shape_that_comes_later() {
    assert_eq!(type_of(&[json!({}), json!({"a": 1})]).unwrap(), "struct<a:bigint>");
}

#[test]
fn keys_that_are_data_stay_text() {
    let ids: serde_json::Map<_, _> = (0..300).map(|n| (format!("i-{n:017x}"), json!(n))).collect();
    assert_eq!(type_of(&[Value::Object(ids)]).unwrap(), "string");
}

#[test]
fn what_is_too_deep_stays_text_there() {
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!({ "a": deep });
    }
    let hive = type_of(&[deep]).unwrap();
    let levels = hive.matches("struct<").count();
    assert!((5..40).contains(&levels), "{levels} levels");
}

#[test]
fn keys_that_differ_only_in_case_in_one_object_are_one_column() {
    let both = record_text_with_request(
        r#"{"TmTagging":{"TagSet":"x"},"tmTagging":"","tmtag":1,"TmTag":[1]}"#,
    );
    let world = World::new();
    world.put(&key("a.json"), format!(r#"{{"Records":[{both}]}}"#));

    world.convert(&[]).exits(0);

    world.is_proved(&[]);
    let names = names(&world.lock(), "request");
    assert_eq!(names.iter().filter(|name| *name == "tmtagging").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == "tmtag").count(), 1);
}

#[test]
fn keys_that_differ_only_in_case_across_records_are_one_column_with_both_spellings() {
    let world = world_of_requests(&[json!({"tmMaxResults": 1}), json!({"TmmaxResults": 2})]);

    world.convert(&[]).exits(0);

    let lock = world.lock();
    let Kind::Struct(fields) = &lock.column(Family::Events, "request").unwrap().kind else {
        panic!()
    };
    let field: Vec<_> = fields.iter().filter(|field| field.name == "tmmaxresults").collect();
    assert_eq!(field.len(), 1);
    assert_eq!(field[0].spellings, ["TmmaxResults", "tmMaxResults"]);
}

#[test]
fn awkward_keys_get_names_that_engines_accept() {
    let request = json!({
        "x-tm-id-2": "a", "tm:s3:arn": "b", "tm.dot": "c", "9tm": "d", "tm naïve": "e", "": "f",
        "tm`'\"<>,;\n": "g", "_": "h"
    });
    let world = world_of_requests(&[request]);

    world.convert(&[]).exits(0);

    world.is_proved(&[]);
    let names = names(&world.lock(), "request");
    for wanted in ["x_tm_id_2", "tm_s3_arn", "tm_dot", "_9tm", "tm_na_ve", "_"] {
        assert_eq!(names.iter().filter(|name| *name == wanted).count(), 1, "{wanted}: {names:?}");
    }
    catalog_types_are_valid(&world);
}

#[test]
fn a_column_stays_within_its_budget_and_the_lock_says_what_was_left_out() {
    let wide = |from: usize| -> Value {
        let members = from..from + 150;
        let member = |n: usize| (format!("tmWide{n:05}"), json!({"a": 1, "b": 2, "c": "x"}));
        Value::Object(members.map(member).collect())
    };
    let requests: Vec<_> = (0..12).map(|n| wide(n * 150)).collect();
    let world = world_of_requests(&requests);

    world.convert(&[]).exits(0);

    let lock = world.lock();
    let column = lock.column(Family::Events, "request").unwrap();
    assert!(column.kind.leaves() <= MAX_LEAVES);
    assert!(column.kind.hive_type().len() <= MAX_TYPE_CHARS);
    assert!(lock.left_out.values().any(|why| why.contains("leaves")), "{:?}", lock.left_out);
    world.is_proved(&[]);
    catalog_types_are_valid(&world);
}

#[test]
fn a_locked_kind_never_changes_and_what_does_not_fit_is_counted() {
    let world = world_of_requests(&[json!({"tmProbe": 5})]);
    world.convert(&[]).exits(0);
    let odd = record_with(51, "requestParameters", json!({"tmProbe": {"now": "an object"}}));
    world.put_records(&key("later.json"), &[odd]);

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(hive_at(&world.lock(), "request.tmprobe").unwrap(), "bigint");
    assert_eq!(report.nested_values_unfit, 1);
    world.is_proved(&[]);
}

#[test]
fn new_fields_go_to_the_end_at_every_level() {
    let world = world_of_requests(&[json!({"tmProbe": {"m": 1, "list": [{"m": 1}]}})]);
    world.convert(&[]).exits(0);
    let before = world.lock();
    let grown = json!({"aaFirst": 1, "tmProbe": {"a": 1, "m": 1, "list": [{"a": 1, "m": 1}]}});
    world.put_records(&key("later.json"), &[record_with(51, "requestParameters", grown)]);

    let report = world.convert(&[]).exits(0).report();

    let after = world.lock();
    assert_eq!(
        hive_at(&after, "request.tmprobe").unwrap(),
        "struct<list:array<struct<m:bigint,a:bigint>>,m:bigint,a:bigint>"
    );
    let (old, new) = (names(&before, "request"), names(&after, "request"));
    assert_eq!(new[..old.len()], old);
    assert_eq!(new[old.len()..], ["aafirst"]);
    assert_eq!(after.version, before.version + 1);
    assert_eq!(report.new_fields.len(), 3, "{:?}", report.new_fields);
    world.is_proved(&[]);
    catalog_types_are_valid(&world);
}

#[test]
fn a_run_without_new_fields_keeps_the_version() {
    let world = world_of_requests(&[json!({"tmProbe": 1})]);
    world.convert(&[]).exits(0);
    let before = world.lock();
    world.put_records(
        &key("later.json"),
        &[record_with(51, "requestParameters", json!({"tmProbe": 2}))],
    );

    world.convert(&[]).exits(0);

    assert!(world.lock() == before, "the lock changed");
}

#[test]
fn a_frozen_schema_adds_nothing_and_loses_nothing() {
    let world = world_of_requests(&[json!({"tmProbe": 1})]);

    let report = world.convert(&["--schema", "frozen"]).exits(0).report();

    assert_eq!(report.new_fields, Vec::<String>::new());
    assert_eq!(hive_at(&world.lock(), "request.tmprobe"), None);
    assert!(world.lock() == Lock::seed().unwrap(), "the lock is not the seed");
    world.is_proved(&[]);
}

#[test]
fn without_typed_tables_there_are_none_and_a_lake_stays_as_it_began() {
    let world = world_of_requests(&[json!({"tmProbe": 1})]);

    let report = world.convert(&["--no-typed"]).exits(0).report();

    assert_eq!(report.rows_by_table.keys().collect::<Vec<_>>(), ["cloudtrail"]);
    world.is_proved(&[]);
    world.put_records(&key("more.json"), &[record_with(77, "requestParameters", json!({}))]);
    let report = world.convert(&[]).exits(0).report();
    assert_eq!(report.rows_by_table.keys().collect::<Vec<_>>(), ["cloudtrail"]);
    world.is_proved(&[]);
    let other = world_of_requests(&[json!({"tmProbe": 1})]);
    other.convert(&[]).exits(0);
    let run = other.convert(&["--no-typed"]).exits(2);
    assert!(run.stderr.contains("--no-typed"), "{}", run.stderr);
}

#[test]
fn the_main_table_has_one_schema_and_the_typed_one_its_rows() {
    let world = world_of_requests(&[json!({"tmProbe": 1}), json!({"tmOther": {"a": [true]}})]);

    let report = world.convert(&[]).exits(0).report();

    assert_eq!(report.rows_by_table["cloudtrail"], report.rows_by_table["cloudtrail_typed"]);
    let names = |table: &str| -> Vec<String> {
        world.catalog_columns(table).into_iter().map(|(name, _)| name).collect()
    };
    let (main, typed) = (names("cloudtrail"), names("cloudtrail_typed"));
    for nested in ["request", "response", "additional", "service_details"] {
        assert!(!main.contains(&nested.to_owned()) && typed.contains(&nested.to_owned()));
    }
    for text in ["requestparameters", "responseelements", "resources", "extra_fields"] {
        assert!(main.contains(&text.to_owned()) && !typed.contains(&text.to_owned()));
    }
}

#[test]
fn tokens_and_secrets_stay_text_and_the_lock_says_why() {
    let token = "lJz0bQ2y7Vt5Rk9nWxP3cMfH8dTgUa1eYsKqB4iO6hE";
    let world = world_of_requests(&[
        json!({"tmProbe": {"tmToken": token, "password": "x", "kept": 1}}),
        json!({"tmProbe": {"tmToken": "plain by now", "kept": 2}}),
    ]);
    let report = world.convert(&["--unit-size", "100B"]).exits(0).report();

    let lock = world.lock();
    assert_eq!(hive_at(&lock, "request.tmprobe").unwrap(), "struct<kept:bigint>");
    let Kind::Struct(fields) = &lock.column(Family::Events, "request").unwrap().kind else {
        panic!()
    };
    let probe = fields.iter().find(|field| field.name == "tmprobe").unwrap();
    let Kind::Struct(members) = &probe.kind else { panic!() };
    let why = |name: &str| {
        let member = members.iter().find(|field| field.name == name).unwrap();
        assert_eq!(member.kind, Kind::Omitted);
        member.why.clone().unwrap()
    };
    assert_eq!(
        (&why("tmtoken")[..], &why("password")[..]),
        ("random tokens", "secrets by their name")
    );
    assert_eq!(report.nested_values_unfit, 0, "that is on purpose");
    let is_omitted = |field: &String| field.contains("tmtoken") || field.contains("password");
    assert!(!report.new_fields.iter().any(is_omitted), "{:?}", report.new_fields);
    world.is_proved(&[]);
}

#[test]
fn free_form_values_that_are_no_objects_do_not_disturb_the_nested_columns() {
    let world = world_of_requests(&[json!("text"), json!([1]), json!(5), json!({"tmProbe": 1})]);

    world.convert(&[]).exits(0);

    assert_eq!(hive_at(&world.lock(), "request.tmprobe").unwrap(), "bigint");
    world.is_proved(&[]);
}

#[test]
fn the_seed_is_shown_where_no_lake_is_named() {
    let shown = run(["schema", "show", "--report", "json"]).exits(0);

    let shown: Lock = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(shown == Lock::seed().unwrap());
}

#[test]
fn a_lakes_schema_is_shown_for_people() {
    let world = world_of_requests(&[json!({"tmProbe": {"inner": 1}})]);
    world.convert(&[]).exits(0);

    let shown = world.on_lake(&["schema", "show"], &[]).exits(0).text();

    assert!(shown.starts_with("schema version 2\n"), "{}", &shown[..60]);
    assert!(shown.contains("tmprobe") && shown.contains("inner"));
}

#[test]
fn infer_writes_nothing_and_shows_both_forms() {
    let world = world_of_requests(&[json!({"tmProbe": 1})]);
    let logs = world.logs.to_str().unwrap();

    let text = run(["schema", "infer", logs]).exits(0).text();

    assert!(text.contains("tmprobe"));
    let lock = inferred(&world);
    assert_eq!(names(&lock, "request"), ["tmprobe"]);
    assert!(!world.lake.is_dir());
}

#[test]
fn diff_names_what_a_lake_added_to_the_seed() {
    let world = world_of_requests(&[json!({"tmProbe": 1})]);
    world.convert(&[]).exits(0);
    let lake = world.lake.to_str().unwrap();

    let text = run(["schema", "diff", "seed", lake]).exits(1).text();

    assert!(text.contains("+ cloudtrail_typed.request.tmprobe: bigint\n"), "{text}");
    let json = run(["schema", "diff", "seed", lake, "--report", "json"]).exits(1).json();
    let probe = json!({"change": "added", "path": "cloudtrail_typed.request.tmprobe", "hive_type": "bigint"});
    assert!(json.as_array().unwrap().contains(&probe), "{json}");
    run(["schema", "diff", lake, lake]).exits(0);
}

#[test]
fn diff_reads_a_schema_from_a_file() {
    let world = world_of_requests(&[json!({"tmProbe": 1})]);
    world.convert(&[]).exits(0);
    let file = world.root.join("lock.json");
    std::fs::write(&file, serde_json::to_vec(&world.lock()).unwrap()).unwrap();

    let places = [file.to_str().unwrap(), world.lake.to_str().unwrap()];
    run(["schema", "diff", places[0], places[1]]).exits(0);
}

/// Insists that every type in the catalog is one that Hive's grammar reads.
#[track_caller]
fn catalog_types_are_valid(world: &World) {
    let both = ["cloudtrail", "cloudtrail_typed"].map(|table| world.catalog_columns(table));
    for (name, hive) in both.into_iter().flatten() {
        assert!(is_name(&name), "{name}");
        assert_eq!(after_type(&hive), Some(""), "{name}: {hive}");
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Reads one type; returns what follows it, or nothing if it is none.
fn after_type(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("array<") {
        return after_type(rest)?.strip_prefix('>');
    }
    if let Some(rest) = text.strip_prefix("map<string,") {
        return after_type(rest)?.strip_prefix('>');
    }
    let Some(mut rest) = text.strip_prefix("struct<") else {
        let scalars = ["boolean", "bigint", "double", "string", "timestamp"];
        return scalars.iter().find_map(|scalar| text.strip_prefix(scalar));
    };
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let (name, after) = rest.split_once(':')?;
        if !is_name(name) || !seen.insert(name) {
            return None;
        }
        rest = after_type(after)?;
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.strip_prefix('>'),
        }
    }
}

#[test]
fn the_types_of_a_lake_of_many_shapes_are_valid() {
    let world = World::new();
    crate::support::fill_with_everything(&world);
    world.convert(&[]).exits(1);

    catalog_types_are_valid(&world);
}
