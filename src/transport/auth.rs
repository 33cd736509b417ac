//! Login with keys, the agent and user certificates.
use super::TransportError;
use super::handshake::{Client, Failure};
use super::keys::{KeyHolder, Login};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::{AgentIdentity, client::AgentClient};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey};

/// Connections that one login may take: sshd ends each after `MaxAuthTries` keys, which is 6 unless
/// somebody changed it, and counts refusals against the address that they come from.
const CONNECTIONS: usize = 3;

/// What a login has tried, over all its connections.
#[derive(Default)]
pub struct Tried {
    /// What people get to read.
    said: Vec<String>,
    /// Keys that the host refused.
    refused: Vec<KeyData>,
    connections: usize,
}

/// Logs in, or says what was tried. The caller's deadline bounds all of it.
///
/// # Errors
/// [`Failure::Final`] when the host or the agent refuses; [`Failure::NoAnswer`] when the link ends
/// before the answer; [`Failure::Again`] when the host ended the connection and keys are left.
pub async fn authenticate(
    handle: &mut Handle<Client>,
    login: &Login,
    tried: &mut Tried,
) -> Result<(), Failure> {
    tried.connections += 1;
    let (before, said) = (tried.refused.len(), tried.said.len());
    for signer in &login.signers {
        let done = match signer {
            KeyHolder::Key(key) if tried.refused.contains(key.public_key().key_data()) => continue,
            KeyHolder::Key(key) => with_key(handle, login, key, tried).await,
            KeyHolder::Agent(only) => {
                let done = with_agent(handle, login, only.as_deref(), tried).await;
                match done {
                    // Where there are files too, an agent that does not answer is no loss.
                    Err(Failure::Final(error)) if login.signers.len() > 1 => {
                        tried.said.push(error.to_string());
                        Ok(false)
                    }
                    done => done,
                }
            }
        };
        match done {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // A link that ends after a refusal means sshd's MaxAuthTries or a penalty.
            Err(Failure::NoAnswer(why)) if tried.said.len() > said => {
                if tried.refused.len() > before && tried.connections < CONNECTIONS {
                    return Err(Failure::Again);
                }
                tried.said.push(format!("the link ended during login: {why}"));
                break;
            }
            Err(e) => return Err(e),
        }
    }
    let said = if tried.said.is_empty() {
        "nothing: the agent holds no key".to_owned()
    } else {
        tried.said.join(", ")
    };
    Err(Failure::Final(TransportError::Auth {
        user: login.user.clone(),
        identity: login.identity.clone(),
        tried: said,
    }))
}

fn broken(e: impl std::fmt::Display) -> Failure {
    Failure::NoAnswer(e.to_string())
}

/// Judges the answer to one try; `true`: logged in. russh reports a link that breaks during the
/// wait as a refusal without methods, so that is told apart here.
fn verdict(
    handle: &Handle<Client>,
    result: &AuthResult,
    tried: &mut Tried,
    what: String,
) -> Result<bool, Failure> {
    match result {
        AuthResult::Success => Ok(true),
        AuthResult::Failure { remaining_methods, .. }
            if remaining_methods.is_empty() && handle.is_closed() =>
        {
            Err(broken("it closed the connection"))
        }
        AuthResult::Failure { remaining_methods, partial_success } => {
            let more = if *partial_success { ", accepted but the host asks for more" } else { "" };
            let methods: Vec<String> =
                remaining_methods.iter().map(|m| <&str>::from(m).to_owned()).collect();
            tried.said.push(format!(
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
    tried: &mut Tried,
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
    let done = verdict(handle, &result, tried, show(key.public_key()))?;
    tried.refused.push(key.public_key().key_data().clone());
    Ok(done)
}

async fn with_agent(
    handle: &mut Handle<Client>,
    login: &Login,
    only: Option<&PublicKey>,
    tried: &mut Tried,
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
    let mut found = false;
    for identity in held {
        let public = identity.public_key().into_owned();
        if only.is_some_and(|o| o.key_data() != public.key_data()) {
            continue;
        }
        found = true;
        if tried.refused.contains(public.key_data()) {
            continue;
        }
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
                Err(e) => tried.said.push(format!("{what} (the agent did not sign: {e})")),
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
                let what = format!("agent's {} (the agent did not sign: {e})", show(&public));
                tried.said.push(what);
            }
        }
        tried.refused.push(public.key_data().clone());
    }
    if let Some(only) = only.filter(|_| !found) {
        tried.said.push(format!("{} (the agent does not hold it)", show(only)));
    }
    Ok(false)
}
