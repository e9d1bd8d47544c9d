use super::*;

#[tokio::test]
async fn keys_that_are_weak_or_for_something_else_are_not_used() {
    let (mut rsa, secret, ec) = (Signer::rs256("r"), Signer::hs256("h"), Signer::es256("e"));
    rsa.jwk["alg"] = Value::Null;
    let with = |signer: &Signer, name: &str, value: Value| {
        let mut signer = signer.clone();
        signer.jwk[name] = value;
        signer
    };
    let small = URL_SAFE_NO_PAD.encode([&[0_u8; 128][..], &[0x7f], &[0xff; 255]].concat());
    let big = URL_SAFE_NO_PAD.encode([0xff; 256]);
    for (signer, usable) in [
        (with(&ec, "use", json!("sig")), true),
        (with(&ec, "use", json!("enc")), false),
        (with(&ec, "key_ops", json!(["verify"])), true),
        (with(&ec, "key_ops", json!(["deriveKey"])), false),
        (with(&ec, "crv", json!("P-384")), false),
        (with(&ec, "x", json!("+")), false),
        (with(&rsa, "alg", json!("RS256")), true),
        (with(&rsa, "alg", json!("RS512")), false),
        (with(&rsa, "n", json!(big)), true),
        (with(&rsa, "n", json!(small)), false),
        (with(&secret, "k", json!(URL_SAFE_NO_PAD.encode([7; 32]))), true),
        (with(&secret, "k", json!(URL_SAFE_NO_PAD.encode([7; 31]))), false),
    ] {
        let opened = with_file(&jwks(&[&signer]), settings()).await;
        assert_eq!(opened.is_ok(), usable, "{}", signer.jwk);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_says_why_and_quotes_no_secret() {
    let key = Signer::es256("e").jwk;
    let many = json!({"keys": vec![key; 101]}).to_string();
    let weak = r#"{"keys": [{"kty": "oct", "kid": "k7", "k": "aHVudGVyMg"}]}"#;
    for (content, said) in [
        ("", "not a JSON Web Key Set"),
        (r#"{"keys": "aHVudGVyMg"}"#, "not a JSON Web Key Set"),
        (r#"{"keys": []}"#, "no usable key"),
        (weak, "key 1 (k7): its secret has less than 32 bytes"),
        (&many, "more than 100 keys"),
        (&format!("{}{{}}", " ".repeat(1_024 * 1_024)), "larger than 1 MiB"),
    ] {
        let error = with_file(content, settings()).await.expect_err(said);
        let text = format!("{error:#}");
        assert!(text.contains("AUDIT_JWT_JWKS") && text.contains(said), "{text}");
        assert!(!text.contains("aHVudGVyMg"), "{text}");
    }
    let error = JwtVerifier::new(&with_jwks("/nowhere/keys.json")).await.expect_err("no file");
    assert!(format!("{error:#}").contains("/nowhere/keys.json"), "{error:#}");
}

#[tokio::test]
async fn a_url_is_https_unless_it_is_this_host() {
    for url in ["http://idp.example/jwks", "http://127.0.0.1.example/", "file:///jwks", "http://"] {
        assert!(Source::parse(url).is_err(), "{url}");
    }
    for url in
        ["https://idp.example/jwks", "http://127.0.0.1/", "http://[::1]/", "http://localhost/"]
    {
        assert!(Source::parse(url).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let signer = Signer::hs256("h");
    let verifier = of(&[&signer]).await;
    let secret = signer.jwk["k"].as_str().expect("k");
    let debug = format!("{verifier:?}");
    let bytes = format!("{:?}", URL_SAFE_NO_PAD.decode(secret).expect("base64url"));
    assert!(debug.contains("\"h\""), "{debug}");
    assert!(!debug.contains(secret) && !debug.contains(bytes.trim_matches(['[', ']'])), "{debug}");
    let source = Source::parse("https://me:pw@idp.example/jwks?key=pw").expect("URL");
    assert_eq!(format!("{source:?}"), "https://idp.example");
}

#[tokio::test]
async fn shared_secrets_from_a_url_are_ignored() {
    let (secret, ec) = (Signer::hs256("h"), Signer::es256("e"));
    let verifier = Provider::start(&jwks(&[&secret, &ec])).await.verifier().await;
    assert_eq!(verifier.judge(&ec.token()).await, Ok(()));
    assert_eq!(verifier.judge(&secret.token()).await, Err(UNKNOWN_KEY));
    assert_eq!(verifier.judge(&secret.nameless().token()).await, Err(UNKNOWN_KEY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unknown_keys_cause_one_refresh_a_minute_whether_it_works_or_not() {
    let (known, stranger) = (Signer::es256("1"), Signer::es256("2"));
    let provider = Provider::start(&jwks(&[&known])).await;
    let verifier = Arc::new(provider.verifier().await);
    let start = Instant::now();
    for (minute, (status, hits)) in (0..).zip([(200, 1), (200, 2), (503, 3), (200, 4)]) {
        provider.answer(status, &jwks(&[&known])).await;
        let mut requests = JoinSet::new();
        for _ in 0..100 {
            let (verifier, token) = (Arc::clone(&verifier), stranger.token());
            let now = start + minute * MINUTE;
            requests.spawn(async move { verifier.judge_at(&token, now).await });
        }
        let verdicts = requests.join_all().await;
        assert!(verdicts.iter().all(|verdict| *verdict == Err(UNKNOWN_KEY)));
        assert_eq!(provider.hits(), hits, "in minute {minute}");
        assert_eq!(verifier.judge(&known.token()).await, Ok(()));
    }
}

#[tokio::test]
async fn a_new_key_works_for_all_who_wait_and_outlives_who_hangs_up() {
    let (old, new) = (Signer::es256("1"), Signer::es256("2"));
    let provider = Provider::start(&jwks(&[&old])).await;
    let verifier = Arc::new(provider.verifier().await);
    provider.answer(200, &jwks(&[&new])).await;
    let later = Instant::now() + MINUTE;
    let closed = provider.gate.lock().await;
    let mut requests = JoinSet::new();
    for _ in 0..10 {
        let (verifier, token) = (Arc::clone(&verifier), new.token());
        requests.spawn(async move { verifier.judge_at(&token, later).await });
    }
    let token = new.token();
    let first = verifier.judge_at(&token, later);
    assert!(tokio::time::timeout(Duration::from_millis(50), first).await.is_err());
    assert_eq!(verifier.judge_at(&old.token(), later).await, Ok(()));
    requests.abort_all();
    while requests.join_next().await.is_some() {}
    drop(closed);
    eventually(&verifier, &new.token(), later, Ok(())).await;
    assert_eq!(verifier.judge_at(&old.token(), later).await, Err(UNKNOWN_KEY));
    assert_eq!(provider.hits(), 2);
}

#[tokio::test]
async fn a_key_that_was_taken_out_stops_working_after_ten_minutes_of_use() {
    let (gone, other) = (Signer::es256("1"), Signer::es256("2"));
    let provider = Provider::start(&jwks(&[&gone])).await;
    let verifier = provider.verifier().await;
    let start = Instant::now();
    provider.answer(200, &jwks(&[&other])).await;
    assert_eq!(verifier.judge_at(&gone.token(), start + 9 * MINUTE).await, Ok(()));
    assert_eq!(provider.hits(), 1);
    let closed = provider.gate.lock().await;
    assert_eq!(verifier.judge_at(&gone.token(), start + 10 * MINUTE).await, Ok(()), "meanwhile");
    drop(closed);
    eventually(&verifier, &gone.token(), start + 10 * MINUTE, Err(UNKNOWN_KEY)).await;
}

#[tokio::test]
async fn a_provider_that_fails_leaves_the_old_keys_in_use() {
    let (signer, stranger) = (Signer::es256("1"), Signer::es256("2"));
    let provider = Provider::start(&jwks(&[&signer])).await;
    let verifier = provider.verifier().await;
    let mut now = Instant::now() + 1_500 * MINUTE;
    let none = jwks(&[]);
    for (tries, answer) in (2..).zip([(404, &*none), (302, &none), (200, "{}")]) {
        provider.answer(answer.0, answer.1).await;
        now += MINUTE;
        assert_eq!(verifier.judge_at(&signer.token(), now).await, Ok(()));
        assert_eq!(verifier.judge_at(&stranger.token(), now).await, Err(UNKNOWN_KEY), "waits");
        assert_eq!(verifier.judge_at(&signer.token(), now).await, Ok(()));
        assert_eq!(provider.hits(), tries, "once a minute, and no redirect followed");
    }
}

#[tokio::test]
async fn no_more_than_a_mebibyte_is_read() {
    let provider = Provider::start(&(" ".repeat(1_024 * 1_024) + &jwks(&[]))).await;
    let source = Source::parse(&provider.url).expect("URL");
    let error = source.load(Instant::now()).await.expect_err("too much");
    assert!(format!("{error:#}").contains("its answer is larger than 1 MiB"), "{error:#}");
}

#[tokio::test]
async fn a_provider_that_is_down_at_start_is_asked_again() {
    let signer = Signer::es256("1");
    let provider = Provider::start("").await;
    provider.answer(503, "").await;
    let verifier = provider.verifier().await;
    provider.answer(200, &jwks(&[&signer])).await;
    assert_eq!(verifier.judge(&signer.token()).await, Err(KEYS_NOT_LOADED));
    assert_eq!(provider.hits(), 1);
    assert_eq!(verifier.judge_at(&signer.token(), Instant::now() + MINUTE).await, Ok(()));
}

#[tokio::test]
async fn a_file_is_read_again_for_an_unknown_key() {
    let (old, new) = (Signer::hs256("1"), Signer::hs256("2"));
    let (verifier, file) = with_file(&jwks(&[&old]), settings()).await.expect("verifier");
    fs::write(&file, jwks(&[&old, &new])).expect("write");
    assert_eq!(verifier.judge(&new.token()).await, Err(UNKNOWN_KEY));
    assert_eq!(verifier.judge_at(&new.token(), Instant::now() + MINUTE).await, Ok(()));
}
