//! Login with keys, the agent and user certificates.
use super::TransportError;
use super::handshake::{Client, Failure};
use super::keys::{KeyHolder, Login};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::{AgentIdentity, client::AgentClient};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey};

/// Logs in, or says what was tried. The caller's deadline bounds all of it.
///
/// # Errors
/// [`Failure::Final`] when the host or the agent refuses; [`Failure::Dropped`] when the link ends
/// before the answer.
pub async fn authenticate(handle: &mut Handle<Client>, login: &Login) -> Result<(), Failure> {
    let mut tried = Vec::new();
    let done = match &login.signer {
        KeyHolder::Key(key) => with_key(handle, login, key, &mut tried).await,
        KeyHolder::Agent => with_agent(handle, login, &mut tried).await,
    };
    match done {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        // A link that ends after a refusal means sshd's MaxAuthTries or a penalty: trying again
        // would make it worse.
        Err(Failure::Dropped(why)) if !tried.is_empty() => tried.push(why),
        Err(e) => return Err(e),
    }
    let tried = if tried.is_empty() {
        "nothing: the agent holds no key".to_owned()
    } else {
        tried.join(", ")
    };
    Err(Failure::Final(TransportError::Auth {
        user: login.user.clone(),
        identity: login.identity.clone(),
        tried,
    }))
}

fn broken(e: impl std::fmt::Display) -> Failure {
    Failure::Dropped(format!("the link ended during login: {e}"))
}

/// Judges the answer to one try; `true`: logged in. russh reports a link that breaks during the
/// wait as a refusal without methods, so that is told apart here.
fn verdict(
    handle: &Handle<Client>,
    result: &AuthResult,
    tried: &mut Vec<String>,
    what: String,
) -> Result<bool, Failure> {
    match result {
        AuthResult::Success => Ok(true),
        AuthResult::Failure { remaining_methods, .. }
            if remaining_methods.is_empty() && handle.is_closed() =>
        {
            Err(broken("the host closed the connection"))
        }
        AuthResult::Failure { remaining_methods, partial_success } => {
            let more = if *partial_success { ", accepted but the host asks for more" } else { "" };
            let methods: Vec<String> =
                remaining_methods.iter().map(|m| <&str>::from(m).to_owned()).collect();
            tried.push(format!(
                "{what} (the host allows {}{more})",
                if methods.is_empty() { "nothing more".to_owned() } else { methods.join("/") }
            ));
            Ok(false)
        }
    }
}

fn show(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

async fn rsa_hash(handle: &Handle<Client>, key: &PublicKey) -> Result<Option<HashAlg>, Failure> {
    if !key.algorithm().is_rsa() {
        return Ok(None);
    }
    // A server that does not say which hash it takes gets sha2-512: SHA-1 signatures are never
    // made.
    let best = handle.best_supported_rsa_hash().await.map_err(broken)?.flatten();
    Ok(best.or(Some(HashAlg::Sha512)))
}

async fn with_key(
    handle: &mut Handle<Client>,
    login: &Login,
    key: &std::sync::Arc<russh::keys::PrivateKey>,
    tried: &mut Vec<String>,
) -> Result<bool, Failure> {
    if let Some(certificate) = &login.certificate {
        let result = handle
            .authenticate_openssh_cert(&login.user, key.clone(), certificate.clone())
            .await
            .map_err(broken)?;
        if verdict(
            handle,
            &result,
            tried,
            format!("certificate \"{}\" of {}", certificate.key_id(), show(key.public_key())),
        )? {
            return Ok(true);
        }
    }
    let hash = rsa_hash(handle, key.public_key()).await?;
    let result = handle
        .authenticate_publickey(&login.user, PrivateKeyWithHashAlg::new(key.clone(), hash))
        .await
        .map_err(broken)?;
    verdict(handle, &result, tried, show(key.public_key()))
}

async fn with_agent(
    handle: &mut Handle<Client>,
    login: &Login,
    tried: &mut Vec<String>,
) -> Result<bool, Failure> {
    let bad = |why: String| Failure::Final(TransportError::Identity(login.identity.clone(), why));
    let mut agent = AgentClient::connect_env()
        .await
        .map_err(|e| bad(format!("no SSH agent behind SSH_AUTH_SOCK: {e}")))?;
    // The agent needs this binding for keys that are bound to destinations. An agent that does not
    // know it refuses, which does no harm.
    if let Some(binding) = handle.agent_session_binding() {
        let _ = agent.bind_session(binding, false).await;
    }
    let held = agent
        .request_identities()
        .await
        .map_err(|e| bad(format!("the SSH agent does not list its keys: {e}")))?;
    for identity in held {
        let public = identity.public_key().into_owned();
        // A certificate from the configuration goes with the agent's key it was made for.
        let configured =
            login.certificate.as_ref().filter(|c| c.public_key() == public.key_data()).cloned();
        let certificate = match identity {
            AgentIdentity::Certificate { certificate, .. } => Some(certificate),
            AgentIdentity::PublicKey { .. } => configured,
        };
        let hash = rsa_hash(handle, &public).await?;
        if let Some(certificate) = certificate {
            let what = format!("agent's certificate \"{}\"", certificate.key_id());
            match handle
                .authenticate_certificate_with(&login.user, certificate, hash, &mut agent)
                .await
            {
                Ok(result) => {
                    if verdict(handle, &result, tried, what)? {
                        return Ok(true);
                    }
                }
                Err(e) => tried.push(format!("{what} (the agent did not sign: {e})")),
            }
        }
        match handle
            .authenticate_publickey_with(&login.user, public.clone(), hash, &mut agent)
            .await
        {
            Ok(result) => {
                if verdict(handle, &result, tried, format!("agent's {}", show(&public)))? {
                    return Ok(true);
                }
            }
            Err(e) => {
                tried.push(format!("agent's {} (the agent did not sign: {e})", show(&public)))
            }
        }
    }
    Ok(false)
}
