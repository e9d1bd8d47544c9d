use super::*;

#[tokio::test]
async fn every_promised_algorithm_verifies_with_and_without_a_key_name() {
    let signers = [Signer::rs256("r"), Signer::es256("e"), Signer::eddsa("d"), Signer::hs256("h")];
    let verifier = of(&signers.each_ref()).await;
    for signer in &signers {
        let algorithm = signer.header.alg;
        assert_eq!(verifier.judge(&signer.token()).await, Ok(()), "{algorithm:?}");
        assert_eq!(verifier.judge(&signer.nameless().token()).await, Ok(()), "{algorithm:?}");
    }
}

#[tokio::test]
async fn the_token_comes_in_one_authorization_header() {
    let signer = Signer::hs256("h");
    let verifier = of(&[&signer]).await;
    let token = signer.token();
    let verdict = async |values: &[String]| {
        let values = values.iter().map(|value| HeaderValue::from_str(value).expect("header"));
        let headers = values.map(|value| (AUTHORIZATION, value)).collect();
        verifier.verify(&headers).await.map(drop)
    };
    assert_eq!(verdict(&[format!("bEARER {token}")]).await, Ok(()));
    assert_eq!(verdict(&[]).await, Err(NO_TOKEN));
    assert_eq!(verdict(&[format!("Bearer {token}"), "Basic eDp5".into()]).await, Err(NO_TOKEN));
    assert_eq!(verdict(&[format!("Basic {token}")]).await, Err(NO_TOKEN));
    assert_eq!(verdict(std::slice::from_ref(&token)).await, Err(NO_TOKEN));
    assert_eq!(verdict(&[format!("Bearer {token}, Bearer {token}")]).await, Err(MALFORMED));
    let longest = "x".repeat(TOKEN_BYTES_MAX);
    assert_eq!(verdict(&[format!("Bearer {longest}")]).await, Err(MALFORMED));
    assert_eq!(verdict(&[format!("Bearer {longest}x")]).await, Err(TOO_LONG));
}

#[tokio::test]
async fn each_refusal_says_why() {
    let signer = Signer::es256("e");
    let settings = JwtArgs {
        jwt_issuer: Some("us".to_owned()),
        jwt_audience: Some("audit".to_owned()),
        ..settings()
    };
    let (verifier, _) = with_file(&jwks(&[&signer]), settings).await.expect("verifier");
    for (other, verdict) in [
        (json!({}), Ok(())),
        (json!({"aud": ["x", "audit"], "nbf": in_seconds(50), "iat": in_seconds(50)}), Ok(())),
        (json!({"exp": in_seconds(-50)}), Ok(())),
        (json!({"exp": in_seconds(-70)}), Err(EXPIRED)),
        (json!({"exp": null}), Err(NO_EXPIRY)),
        (json!({"exp": "tomorrow"}), Err(NO_EXPIRY)),
        (json!({"nbf": in_seconds(70)}), Err(NOT_YET_VALID)),
        (json!({"nbf": "now"}), Err(MALFORMED)),
        (json!({"iat": in_seconds(70)}), Err(NOT_YET_VALID)),
        (json!({"iat": "now"}), Err(MALFORMED)),
        (json!({"iss": "them"}), Err(WRONG_ISSUER)),
        (json!({"iss": null}), Err(WRONG_ISSUER)),
        (json!({"aud": "audit2"}), Err(WRONG_AUDIENCE)),
        (json!({"aud": []}), Err(WRONG_AUDIENCE)),
        (json!({"aud": null}), Err(WRONG_AUDIENCE)),
    ] {
        let claims = merged(claims_with(&json!({"iss": "us", "aud": "audit"})), &other);
        assert_eq!(verifier.judge(&signer.sign(&claims)).await, verdict, "{other}");
    }
}

#[tokio::test]
async fn an_audience_is_looked_at_only_when_one_is_configured() {
    let signer = Signer::es256("e");
    let token = signer.sign(&claims_with(&json!({"iss": "them", "aud": "others"})));
    assert_eq!(of(&[&signer]).await.judge(&token).await, Ok(()));
}

#[tokio::test]
async fn a_token_that_was_tampered_with_is_refused() {
    let (signer, other) = (Signer::es256("e"), Signer::es256("e"));
    let verifier = of(&[&signer]).await;
    let token = signer.token();
    let parts: Vec<&str> = token.split('.').collect();
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let (claims, signature) = (encode(&claims_with(&json!({"sub": "eve"}))), parts[2]);
    let unsigned = encode(&json!({"alg": "none"}));
    for (token, verdict) in [
        (other.token(), BAD_SIGNATURE),
        (format!("{}.{claims}.{signature}", parts[0]), BAD_SIGNATURE),
        (format!("{}.{}.", parts[0], parts[1]), BAD_SIGNATURE),
        (format!("{unsigned}.{claims}."), MALFORMED),
        (format!("{unsigned}.{claims}.{signature}"), MALFORMED),
        (format!("{}.{}", parts[0], parts[1]), MALFORMED),
        (format!("{token}.x"), MALFORMED),
        ("..".to_owned(), MALFORMED),
        (format!("{}.{}.!", parts[0], parts[1]), MALFORMED),
    ] {
        assert_eq!(verifier.judge(&token).await, Err(verdict), "{token}");
    }
}

#[tokio::test]
async fn headers_that_change_the_meaning_are_refused() {
    let mut signer = Signer::hs256("h");
    let verifier = of(&[&signer]).await;
    signer.header.crit = Some(vec!["b64".to_owned()]);
    assert_eq!(verifier.judge(&signer.token()).await, Err(CRITICAL));
    signer.header.crit = None;
    signer.header.alg = Algorithm::HS512;
    assert_eq!(verifier.judge(&signer.token()).await, Err(WRONG_ALGORITHM));
}

#[tokio::test]
async fn the_key_decides_the_algorithm() {
    let (rsa, secret) = (Signer::rs256("r"), Signer::hs256("h"));
    let verifier = of(&[&rsa, &secret]).await;
    let modulus = rsa.jwk["n"].as_str().expect("n");
    for public in [modulus.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(modulus).expect("n")] {
        let mut confused = Signer::new("r", Algorithm::HS256, EncodingKey::from_secret(&public));
        assert_eq!(verifier.judge(&confused.token()).await, Err(WRONG_ALGORITHM));
        confused.header.kid = None;
        assert_eq!(verifier.judge(&confused.token()).await, Err(BAD_SIGNATURE));
        assert_eq!(of(&[&rsa]).await.judge(&confused.token()).await, Err(UNKNOWN_KEY));
    }
    let mut confused = rsa.clone();
    confused.header.kid = Some("h".to_owned());
    assert_eq!(verifier.judge(&confused.token()).await, Err(WRONG_ALGORITHM));
}

#[tokio::test]
async fn a_key_is_found_by_its_name_or_as_the_only_one_that_fits() {
    let (one, two, edward) = (Signer::es256("1"), Signer::es256("2"), Signer::eddsa("d"));
    let verifier = of(&[&one, &two, &edward]).await;
    assert_eq!(verifier.judge(&one.token()).await, Ok(()));
    assert_eq!(verifier.judge(&two.token()).await, Ok(()));
    assert_eq!(verifier.judge(&one.nameless().token()).await, Err(UNCLEAR_KEY));
    assert_eq!(verifier.judge(&edward.nameless().token()).await, Ok(()));
    let mut stranger = one.clone();
    stranger.header.kid = Some("3".to_owned());
    assert_eq!(verifier.judge(&stranger.token()).await, Err(UNKNOWN_KEY));
}

#[tokio::test]
async fn claims_say_who_it_is() {
    let signer = Signer::es256("e");
    let settings = JwtArgs {
        jwt_claim_tenant: "https://a.example/org".to_owned(),
        jwt_claim_role: "roles".to_owned(),
        jwt_claim_user: "email".to_owned(),
        ..settings()
    };
    let (verifier, _) = with_file(&jwks(&[&signer]), settings).await.expect("verifier");
    let identity = async |tenant: Value, user: Value, roles: Value, name: Value| {
        let claims = json!({"exp": in_seconds(600), "https://a.example/org": tenant,
            "email": user, "roles": roles, "name": name});
        verifier.verify(&bearing(&signer.sign(&claims))).await.expect("proof").identity()
    };
    let tenant = || json!(TENANT);
    let all = identity(tenant(), json!("a@b"), json!(["x", "user", "admin"]), json!("Alice")).await;
    assert_eq!(
        all.expect("identity"),
        Identity {
            tenant_id: TenantId::parse(TENANT).ok(),
            user_id: "a@b".to_owned(),
            user_name: Some("Alice".to_owned()),
            roles: vec![Role::Admin, Role::User],
        }
    );
    let some = identity(json!(null), json!("a@b"), json!("operator"), json!("")).await;
    let some = some.expect("identity");
    assert_eq!((some.tenant_id, some.user_name, some.roles), (None, None, vec![Role::Operator]));
    for (tenant, user, roles) in [
        (json!("acme"), json!("a@b"), json!("admin")),
        (json!(7), json!("a@b"), json!("admin")),
        (tenant(), json!(null), json!("admin")),
        (tenant(), json!(7), json!("admin")),
        (tenant(), json!("a@b"), json!({"admin": true})),
        (tenant(), json!("a@b"), json!([1])),
    ] {
        let refused = identity(tenant, user, roles, json!(null)).await;
        assert!(refused.expect_err("malformed").0.starts_with("the token's claim "));
    }
    let unknown = identity(tenant(), json!("a@b"), json!(["boss"]), json!(null)).await;
    assert!(unknown.expect("identity").check().is_err());
}

/// RFC 7519: "on or after" the time it must not be accepted.
#[tokio::test]
async fn a_token_is_refused_from_the_very_time_on_that_it_names() {
    let signer = Signer::es256("e");
    for leeway_s in [0, 5] {
        let settings = JwtArgs { jwt_leeway_s: leeway_s, ..settings() };
        let (verifier, _) = with_file(&jwks(&[&signer]), settings).await.expect("verifier");
        let leeway_s = i64::try_from(leeway_s).expect("small");
        for (good_for_s, verdict) in [(0, Err(EXPIRED)), (20, Ok(()))] {
            let claims = claims_with(&json!({"exp": in_seconds(good_for_s - leeway_s)}));
            assert_eq!(verifier.judge(&signer.sign(&claims)).await, verdict, "{good_for_s}");
        }
    }
}

#[tokio::test]
async fn claims_know_when_they_have_expired() {
    let signer = Signer::es256("e");
    let claims = of(&[&signer]).await.verify(&bearing(&signer.token())).await.expect("claims");
    let now = SystemTime::now();
    let expired = |s| claims.lasts(now + Duration::from_secs(s)).is_zero();
    assert!(!expired(650), "exp and the leeway");
    assert!(expired(670));
}
