//! Other people's ids: they answer as ids of nobody do, and nothing happens.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_tests::contract::{Route, routes};

use super::bench::{Answer, Bench, Person, Sent, done, nobody};
use super::calls::{Need, body, need, of_sessions, operation, path};

/// Two calls that nothing may tell apart, for the log to be searched by.
struct Pair {
    what: String,
    status: u16,
    theirs: String,
    nobodys: String,
}

struct Foreign {
    bench: Bench,
    all: String,
    ann: Person,
    eve: Person,
    pairs: Vec<Pair>,
}

/// Eve's name for everything, and nobody's.
fn without(person: &Person) -> Person {
    Person {
        id: nobody(),
        record: "rec_000000000000000000000000000000000000000".into(),
        session: "ses_00000000000000000000000000".into(),
        token: String::new(),
        emergency: "emg_00000000000000000000000000".into(),
        user: "nobody".into(),
        phone: "+31209999999".into(),
        pseudonym: "psn_00000000000000000000000000".into(),
        ..person.clone()
    }
}

impl Foreign {
    fn new() -> Self {
        let bench = Bench::new();
        let all = bench.key("all", &[]);
        let (ann, eve) = (
            bench.person(&all, "web", "ann"),
            bench.person(&all, "sms", "eve"),
        );
        assert_eq!(eve.record.len(), without(&eve).record.len());
        Self {
            bench,
            all,
            ann,
            eve,
            pairs: Vec::new(),
        }
    }

    /// Makes the call about somebody and about nobody: refused alike, and with nothing done.
    fn same(
        &mut self,
        what: &str,
        key: &str,
        method: &str,
        theirs: (&str, &Sent),
        nobodys: (&str, &Sent),
    ) -> Answer {
        let before = self.bench.database();
        let send = |(path, body): (&str, &Sent)| {
            let answer = self.bench.send(key, method, path, &[], body);
            (answer, self.bench.last_call())
        };
        let (their, of_theirs) = send(theirs);
        let (none, of_nobodys) = send(nobodys);
        assert_eq!(their, none, "{what}");
        let changed = done(&before, &self.bench.database());
        assert_eq!(changed, Vec::<String>::new(), "{what} changed something");
        self.pairs.push(Pair {
            what: what.to_owned(),
            status: their.status,
            theirs: of_theirs,
            nobodys: of_nobodys,
        });
        their
    }

    /// The entries of the whole log by the call that left them, without what differs between any two.
    fn log(&self) -> BTreeMap<String, Vec<Value>> {
        // What was read or refused joins the log with the next change.
        self.bench.person(&self.all, "web", "somebody");
        let mut entries: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut before = String::new();
        loop {
            let page = self.bench.done(
                &self.all,
                "GET",
                &format!("/v1/audit?last=1000{before}"),
                Value::Null,
            );
            for entry in page["entries"].as_array().unwrap() {
                let mut entry = entry["entry"].clone();
                let call = entry["request"].as_str().unwrap().to_owned();
                let members = entry.as_object_mut().unwrap();
                members.remove("request");
                members.remove("time");
                entries.entry(call).or_default().push(entry);
            }
            match &page["next"] {
                Value::Null => return entries,
                next => before = format!("&before={next}"),
            }
        }
    }

    fn log_tells_nothing(self, least: usize) {
        let log = self.log();
        let mut noted = 0;
        for pair in &self.pairs {
            assert_eq!(
                log.get(&pair.theirs),
                log.get(&pair.nobodys),
                "{}",
                pair.what
            );
            // A call that was refused left a refusal there and nothing else.
            let all = log.get(&pair.theirs).into_iter().flatten();
            let mut done = all.filter(|entry| entry["outcome"] == "ok");
            assert!(pair.status < 400 || done.next().is_none(), "{}", pair.what);
            noted += usize::from(log.contains_key(&pair.theirs));
        }
        assert!(self.pairs.len() >= least, "{} pairs", self.pairs.len());
        assert!(
            noted * 2 > self.pairs.len(),
            "most of {} leave an entry: {noted}",
            self.pairs.len()
        );
    }
}

fn of_people(all: Vec<Route>) -> impl Iterator<Item = Route> {
    all.into_iter().filter(|route| route.has("s"))
}

#[test]
fn somebody_on_another_channel_is_nobody_to_a_bound_key_on_every_route() {
    let mut foreign = Foreign::new();
    let bound = foreign.bench.key("all", &["web"]);
    let eve = foreign.eve.clone();
    let none = without(&eve);
    for route in of_people(routes()) {
        let (theirs, nobodys) = (path(&route, &eve.id, &eve), path(&route, &none.id, &none));
        // Eve's own record and session under nobody's id, too: only the person decides.
        let mixed = path(&route, &none.id, &eve);
        for nobodys in [nobodys, mixed] {
            let (their_body, no_body) = (body(&route, &eve), body(&route, &none));
            let answer = foreign.same(
                &route.operation,
                &bound,
                &route.method,
                (&theirs, &their_body),
                (&nobodys, &no_body),
            );
            assert_eq!(answer.status, 404, "{}", route.operation);
        }
    }
    foreign.log_tells_nothing(30);
}

#[test]
fn the_control_without_the_bound_every_route_reaches_somebody_on_another_channel() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    for (number, route) in of_people(routes()).enumerate() {
        // That is for the key that asked, which is nobody's here: vault-server/tests/emergencies.rs.
        if route.operation == "take_emergency" {
            continue;
        }
        // Anew each time: some of the calls take away what others need.
        let eve = bench.person(&all, "sms", &format!("eve{number}"));
        for key in [&all, &bench.key("all", &["sms"])] {
            let made = if *key == all {
                eve.clone()
            } else {
                bench.person(&all, "sms", &format!("eva{number}"))
            };
            let answer = bench.send(
                key,
                &route.method,
                &path(&route, &made.id, &made),
                &[],
                &body(&route, &made),
            );
            assert!(
                (200..300).contains(&answer.status),
                "{} {answer:?}",
                route.operation
            );
        }
    }
}

#[test]
fn a_bound_key_finds_nobody_on_another_channel_where_no_path_names_them() {
    let mut foreign = Foreign::new();
    let bound = foreign.bench.key("all", &["web"]);
    let (eve, ann) = (foreign.eve.clone(), foreign.ann.clone());
    let none = without(&eve);
    let mut tried = 0;
    for route in routes().into_iter().filter(|route| !route.has("s")) {
        let about = |person: &Person| (path(&route, &person.id, person), body(&route, person));
        let (theirs, nobodys) = (about(&eve), about(&none));
        let expected: (u16, &str) = match &*route.operation {
            "read_audit" | "read_log" => (404, "not_found"),
            // A line about somebody who is nobody here is left out, as one about nobody is.
            "write_log" => {
                let send = |of: &(String, Sent)| {
                    let method = &route.method;
                    foreign.bench.send(&bound, method, &of.0, &[], &of.1)
                };
                let answer = send(&theirs);
                assert_eq!(answer, send(&nobodys));
                assert_eq!(answer.status, 200);
                assert_eq!(answer.json()["dropped"], 1);
                continue;
            }
            "lookup_pseudonym" | "lookup_subject" => (404, "not_found"),
            "create_subject" => (403, "role_denied"),
            "count_records" | "query_records" | "update_records" | "purge_records" | "batch"
            | "import_lines" | "list_holds" | "queue_requests" => (200, "none"),
            // Of nobody's request; of one of Eve's below.
            "read_request" | "approve_request" | "confirm_request" | "step_request" => {
                (404, "not_found")
            }
            // Whose notice it is nothing says.
            "list_recipient_notices"
            | "retry_recipient_notice"
            | "complete_recipient_notice"
            | "impossible_recipient_notice" => (403, "role_denied"),
            // Whoever has the address objects, on whichever channel: it is theirs to say. Nobody is told who.
            "suppress" => {
                let send = |of: &(String, Sent)| {
                    let method = &route.method;
                    foreign.bench.send(&bound, method, &of.0, &[], &of.1)
                };
                let answer = send(&theirs);
                assert_eq!(answer, send(&nobodys));
                assert_eq!((answer.status, &*answer.text), (204, ""));
                continue;
            }
            // About nobody; what it gives is another text each time.
            "deliver_notice" => continue,
            // A way to a key, a slot or a secret without the bound.
            _ if matches!(need(&route), Need::May("api_keys.manage" | "keys.manage")) => {
                (403, "role_denied")
            }
            // What is about nobody, or not for keys at all.
            _ => {
                assert!(
                    matches!(
                        need(&route),
                        Need::Nothing
                            | Need::Socket
                            | Need::Any(_)
                            | Need::May(
                                "policy.read"
                                    | "policy.apply"
                                    | "audit.read"
                                    | "backups.manage"
                                    | "incidents.manage"
                                    | "retention.run"
                                    | "vault.lock"
                            )
                    ),
                    "{}: say what a bound key gets",
                    route.operation
                );
                continue;
            }
        };
        tried += 1;
        let answer = foreign.same(
            &route.operation,
            &bound,
            &route.method,
            (&theirs.0, &theirs.1),
            (&nobodys.0, &nobodys.1),
        );
        assert_eq!(
            answer.code(),
            (expected.0, expected.1.to_owned()),
            "{}",
            route.operation
        );
        assert!(
            !answer.text.contains(&eve.id) && !answer.text.contains("eve"),
            "{}",
            answer.text
        );
    }
    assert!(tried >= 12, "{tried}");
    // By the channel's own id; with Eve there and without her.
    let by_channel = |person: &Person| Sent::Json(json!({"channel": "sms", "user": person.user}));
    let lookup = "/v1/subjects/lookup";
    let answer = foreign.same(
        "lookup by channel",
        &bound,
        "POST",
        (lookup, &by_channel(&eve)),
        (lookup, &by_channel(&none)),
    );
    assert_eq!(answer.status, 404);
    // Over everybody, only those of its channel are found and changed.
    let everybody = json!({"collection": "messages"});
    let found = foreign
        .bench
        .call(&bound, "POST", "/v1/records/query", everybody.clone());
    assert!(
        found.text.contains(&ann.id) && !found.text.contains(&eve.id),
        "{}",
        found.text
    );
    let found = foreign
        .bench
        .call(&foreign.all, "POST", "/v1/records/query", everybody);
    assert!(
        found.text.contains(&ann.id) && found.text.contains(&eve.id),
        "the control"
    );
    // A request is reached through its person alone.
    let made = format!("/v1/subjects/{}/requests", eve.id);
    let asks = json!({"type": "access"});
    let made = foreign.bench.done(&foreign.all, "POST", &made, asks);
    let id = made["request"].as_str().expect("it has an id");
    let one = format!("/v1/requests/{id}");
    for (method, path) in [
        ("GET", one.clone()),
        ("POST", format!("{one}/approve")),
        ("POST", format!("{one}/confirm")),
        ("POST", format!("{one}/review")),
    ] {
        let body = if method == "GET" {
            Value::Null
        } else {
            json!({})
        };
        let answer = foreign.bench.call(&bound, method, &path, body);
        assert_eq!(answer.code(), (404, "not_found".to_owned()), "{path}");
    }
    let queue = |key: &String| {
        foreign
            .bench
            .send(key, "GET", "/v1/requests", &[], &Sent::Nothing)
    };
    assert!(!queue(&bound).text.contains(id));
    assert!(queue(&foreign.all).text.contains(id), "the control");
    let update = json!({"collection": "messages", "where": {}, "set": {"category": "changed"}});
    assert_eq!(
        foreign
            .bench
            .done(&bound, "POST", "/v1/records/update", update)["count"],
        1
    );
    let purge = json!({"collection": "messages", "where": {}});
    assert_eq!(
        foreign
            .bench
            .done(&bound, "POST", "/v1/records/purge", purge)["count"],
        1
    );
    let left = format!("/v1/subjects/{}/records/messages", eve.id);
    let left = foreign.bench.done(&foreign.all, "GET", &left, Value::Null);
    assert_eq!(
        left["records"].as_array().unwrap().len(),
        1,
        "Eve's is there"
    );
    foreign.log_tells_nothing(10);
}

#[test]
fn somebody_else_is_nobody_to_a_session_on_every_route() {
    let mut foreign = Foreign::new();
    let (ann, eve) = (foreign.ann.clone(), foreign.eve.clone());
    let none = without(&eve);
    for route in of_people(routes()) {
        let (theirs, nobodys) = (path(&route, &eve.id, &eve), path(&route, &none.id, &none));
        let (their_body, no_body) = (body(&route, &eve), body(&route, &none));
        let answer = foreign.same(
            &route.operation,
            &ann.token,
            &route.method,
            (&theirs, &their_body),
            (&nobodys, &no_body),
        );
        let expected = if of_sessions(&route) { 404 } else { 403 };
        assert_eq!(answer.status, expected, "{} {answer:?}", route.operation);
    }
    // Eve's records under Ann's own id.
    for route in of_people(routes()).filter(|route| route.has("r")) {
        let (theirs, nobodys) = (path(&route, "self", &eve), path(&route, "self", &none));
        let sent = body(&route, &ann);
        let answer = foreign.same(
            &route.operation,
            &ann.token,
            &route.method,
            (&theirs, &sent),
            (&nobodys, &sent),
        );
        assert_eq!(answer.status, 404, "{}", route.operation);
    }
    // In a batch the person's own operation fails with the other's beside it, and in no other way.
    let batch = |who: &Person| Sent::Json(json!({"operations": [operation(who)]}));
    let answer = foreign.same(
        "batch",
        &ann.token,
        "POST",
        ("/v1/batch", &batch(&eve)),
        ("/v1/batch", &batch(&none)),
    );
    assert_eq!(answer.json()["results"][0]["status"], 404);
    // The control: its own person it reaches.
    for route in of_people(routes()).filter(of_sessions) {
        let own = foreign
            .bench
            .person(&foreign.all, "web", &format!("own {}", route.operation));
        let mut answer = foreign.bench.send(
            &own.token,
            &route.method,
            &path(&route, "self", &own),
            &[],
            &body(&route, &own),
        );
        if route.operation == "ask" {
            answer.status = if answer.status == 200 {
                200
            } else {
                panic!("{answer:?}")
            };
        }
        assert!(
            (200..300).contains(&answer.status),
            "{} {answer:?}",
            route.operation
        );
    }
    foreign.log_tells_nothing(30);
}

#[test]
fn somebody_elses_record_or_session_under_my_person_is_none() {
    let mut foreign = Foreign::new();
    let (all, ann, eve) = (
        foreign.all.clone(),
        foreign.ann.clone(),
        foreign.eve.clone(),
    );
    let none = without(&eve);
    let mut tried = 0;
    for route in of_people(routes()).filter(|route| route.has("r") || route.has("ses")) {
        let (theirs, nobodys) = (path(&route, &ann.id, &eve), path(&route, &ann.id, &none));
        let sent = body(&route, &ann);
        let answer = foreign.same(
            &route.operation,
            &all,
            &route.method,
            (&theirs, &sent),
            (&nobodys, &sent),
        );
        assert_eq!(answer.status, 404, "{}", route.operation);
        tried += 1;
    }
    assert!(tried >= 8);
    // Both are still there, and still do what they did.
    let (bench, token) = (&foreign.bench, &eve.token);
    let own = format!("/v1/subjects/self/records/messages/{}", eve.record);
    assert_eq!(
        bench.done(token, "GET", &own, Value::Null)["fields"]["text"],
        "a secret of eve"
    );
    foreign.log_tells_nothing(8);
}
