//! A whole day in small: each part of the API once.
use kata_harness::{Lab, Suite, ms, tokio};
use kata_report::FindingKind;

fn one<F: Future<Output = ()> + 'static>(
    body: impl Fn(Lab) -> F + Send + Sync + 'static,
) -> kata_report::CheckRecord {
    Suite::new().check("it", 1, body).record("it", &[]).unwrap()
}

#[test]
fn works() {
    let record = one(async |lab: Lab| {
        let fetch = lab.service("fetch").takes_between(50..=150).build();
        let (a, b) = tokio::join!(fetch.call("a"), fetch.call("b"));
        assert!(a.is_ok() && b.is_ok());
        lab.expect_eq(&fetch.peak(), &2).or_fail();
        let (_, took) = lab.timed(tokio::time::sleep(ms(30))).await;
        lab.expect_took(took, 30).or_fail();
        tokio::spawn(async {});
        lab.expect_no_tasks_left().await.or_fail();
    });
    assert_eq!(record.finding, None, "{record:#?}");
    assert_eq!(record.runs, 16);
    let record = one(async |_| std::future::pending::<()>().await);
    assert_eq!(record.finding.unwrap().kind, FindingKind::Deadlock);
    let record = one(async |_| {
        loop {
            tokio::time::sleep(ms(10)).await
        }
    });
    assert_eq!(record.finding.unwrap().kind, FindingKind::NeverEnds);
    let record = one(async |_| {
        loop {
            tokio::task::yield_now().await
        }
    });
    assert_eq!(record.finding.unwrap().kind, FindingKind::BusyLoop);
    let record = one(async |_| {
        tokio::spawn(async {
            loop {
                tokio::task::yield_now().await
            }
        })
        .await
        .unwrap()
    });
    assert_eq!(record.finding.unwrap().kind, FindingKind::BusyLoop);
    let record = one(async |_| std::thread::sleep(ms(1000)));
    assert_eq!(record.finding.unwrap().kind, FindingKind::Blocked);
    let record = one(async |_| todo!("task 1: do"));
    println!("{record:#?}");
    let record = one(async |lab: Lab| {
        lab.cancel_sweep(async |c| {
            let got = c
                .drop_at(async {
                    tokio::time::sleep(ms(5)).await;
                    tokio::time::sleep(ms(6)).await;
                    7
                })
                .await;
            lab.expect(c.round() < 1).got("it").or_fail();
            let _ = got;
        })
        .await
    });
    println!("{record:#?}");
}
