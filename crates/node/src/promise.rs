//! Promises that the core's own threads settle.
//!
//! A function that other threads may call costs far more to make than to call, so there is one for each JavaScript
//! thread. Results that come while it is on its way share the call. Memory of JavaScript's that a call was lent goes
//! back with the results, for the same reason.
#![allow(unsafe_code, reason = "Node's own functions for promises and for calls from other threads")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::engine::{EngineError, ErrorCode};
use napi::bindgen_prelude::{FromNapiValue, Object, ToNapiValue, Uint8Array};
use napi::{Env, Error, JsError, Result, Status, sys};

/// What the engine calls when it has finished.
pub(crate) type Done<T> = Box<dyn FnOnce(std::result::Result<T, EngineError>) + Send>;

/// Makes a promise's value, on its JavaScript thread.
type Make = Box<dyn FnOnce(sys::napi_env) -> Result<sys::napi_value> + Send>;

/// A promise that can be settled.
struct Settled {
    deferred: Deferred,
    make: Make,
}

struct Deferred(sys::napi_deferred);

// SAFETY: the pointer is only passed on until it is back on the thread that made it.
unsafe impl Send for Deferred {}

/// A promise whose work is under way. Work that is dropped rejects it, so that nobody waits for ever.
struct Pending {
    inbox: Arc<Inbox>,
    deferred: Option<Deferred>,
}

impl Pending {
    fn settle(mut self, make: Make) {
        self.send(make);
    }

    fn send(&mut self, make: Make) {
        if let Some(deferred) = self.deferred.take() {
            send(&self.inbox, Settled { deferred, make });
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.send(Box::new(|_| Err(to_js(&EngineError::new(ErrorCode::Internal, "the work was given up")))));
    }
}

#[derive(Clone, Copy)]
struct Wake(sys::napi_threadsafe_function);

// SAFETY: other threads may use such a function, which is what it is for.
unsafe impl Send for Wake {}

/// What has come from other threads for one JavaScript thread.
#[derive(Default)]
struct Inbox {
    mail: Mutex<Mail>,
    /// Calls the thread; `None` once its environment has ended. Held during the call, and never together with the mail,
    /// which the thread asks for at once.
    wake: Mutex<Option<Wake>>,
}

#[derive(Default)]
struct Mail {
    settled: Vec<Settled>,
    returned: Vec<Uint8Array>,
}

/// The promises of one JavaScript thread.
struct Queue {
    inbox: Arc<Inbox>,
    wake: sys::napi_threadsafe_function,
    /// Promises that are not settled; while there are any, the process must not end for want of work.
    open: usize,
}

/// Bytes of JavaScript's, for a call that settles a promise: they go back with that, wherever they are dropped. Alone
/// they would each take a call to the thread.
pub(crate) struct Lent {
    bytes: Option<Uint8Array>,
    inbox: Option<Arc<Inbox>>,
}

impl From<Uint8Array> for Lent {
    /// On the thread that the bytes are of.
    fn from(bytes: Uint8Array) -> Self {
        let inbox = QUEUE.with_borrow(|queue| queue.as_ref().map(|queue| queue.inbox.clone()));
        Self { bytes: Some(bytes), inbox }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Without an inbox they go their own way.
        if let (Some(bytes), Some(inbox)) = (self.bytes.take(), &self.inbox) {
            lock(&inbox.mail).returned.push(bytes);
        }
    }
}

thread_local! {
    static QUEUE: RefCell<Option<Queue>> = const { RefCell::new(None) };
}

/// Starts something that ends in a callback, and returns the promise of its converted result.
pub(crate) fn promise<'env, T, V>(
    env: &'env Env,
    convert: impl FnOnce(T) -> V + Send + 'static,
    start: impl FnOnce(Done<T>),
) -> Result<Object<'env>>
where
    T: Send + 'static,
    V: ToNapiValue + 'static,
{
    let (mut deferred, mut promise) = (null_mut(), null_mut());
    // SAFETY: the environment is that of this call, on its own thread.
    check(unsafe { sys::napi_create_promise(env.raw(), &raw mut deferred, &raw mut promise) })?;
    let inbox = open(env.raw())?;
    let pending = Pending { inbox, deferred: Some(Deferred(deferred)) };
    start(Box::new(move |result| {
        pending.settle(Box::new(move |env| {
            let value = convert(result.map_err(|e| to_js(&e))?);
            // SAFETY: called on the thread of the environment, in a scope for handles.
            unsafe { V::to_napi_value(env, value) }
        }));
    }));
    // SAFETY: the value is a promise just made in this environment.
    unsafe { Object::from_napi_value(env.raw(), promise) }
}

/// The error as JavaScript gets it: its message starts with the code.
pub(crate) fn to_js(e: &EngineError) -> Error {
    Error::from_reason(e.to_string())
}

/// Notes one promise more, and says where its result is to go.
fn open(env: sys::napi_env) -> Result<Arc<Inbox>> {
    QUEUE.with_borrow_mut(|slot| {
        let queue = match slot {
            Some(queue) => queue,
            None => slot.insert(new_queue(env)?),
        };
        if queue.open == 0 {
            // SAFETY: the function lives as long as its environment, which called us; this is its thread.
            check(unsafe { sys::napi_ref_threadsafe_function(env, queue.wake) })?;
        }
        queue.open += 1;
        Ok(queue.inbox.clone())
    })
}

fn new_queue(env: sys::napi_env) -> Result<Queue> {
    let inbox = Arc::new(Inbox::default());
    let (mut name, mut wake) = (null_mut(), null_mut());
    let context = Arc::into_raw(inbox.clone()).cast_mut().cast();
    // SAFETY: the environment is that of the call under way; the name is copied; `ended` takes the context back.
    unsafe {
        check(sys::napi_create_string_utf8(env, c"narthex".as_ptr(), 7, &raw mut name))?;
        check(sys::napi_create_threadsafe_function(
            env,
            null_mut(),
            null_mut(),
            name,
            0,
            1,
            context,
            Some(ended),
            context,
            Some(settle_all),
            &raw mut wake,
        ))?;
        check(sys::napi_unref_threadsafe_function(env, wake))?;
    }
    *lock(&inbox.wake) = Some(Wake(wake));
    Ok(Queue { inbox, wake, open: 0 })
}

/// Hands a result over, from any thread.
fn send(inbox: &Inbox, settled: Settled) {
    let is_first = {
        let mut mail = lock(&inbox.mail);
        mail.settled.push(settled);
        mail.settled.len() == 1
    };
    if !is_first {
        return;
    }
    if let Some(Wake(wake)) = *lock(&inbox.wake) {
        // It only refuses while the environment ends, where nobody waits any more.
        // SAFETY: `ended` takes the function away, under the same lock, before it is freed.
        let _ = unsafe {
            sys::napi_call_threadsafe_function(wake, null_mut(), sys::ThreadsafeFunctionCallMode::nonblocking)
        };
    }
}

/// Settles what has come. Called by Node on the JavaScript thread; `env` is null where that is ending.
unsafe extern "C" fn settle_all(
    env: sys::napi_env,
    _callback: sys::napi_value,
    context: *mut std::ffi::c_void,
    _data: *mut std::ffi::c_void,
) {
    if env.is_null() {
        // `ended` came before, and has taken the context.
        return;
    }
    // SAFETY: the context is the inbox, of which `new_queue` gave a reference away that `ended` has not taken yet.
    let inbox = unsafe { &*context.cast::<Inbox>() };
    let Mail { settled: all, returned } = std::mem::take(&mut *lock(&inbox.mail));
    let count = all.len();
    drop(returned);
    for settled in all {
        // SAFETY: Node calls this on the thread of `env`, and promises of other environments have other inboxes.
        unsafe { settle(env, settled) };
    }
    QUEUE.with_borrow_mut(|slot| {
        let Some(queue) = slot else { return };
        queue.open = queue.open.saturating_sub(count);
        if queue.open == 0 {
            // SAFETY: as where it was referenced. Failing would only keep the process alive.
            let _ = unsafe { sys::napi_unref_threadsafe_function(env, queue.wake) };
        }
    });
}

/// # Safety
/// On the thread of `env`, which made the promise.
unsafe fn settle(env: sys::napi_env, Settled { deferred, make }: Settled) {
    // SAFETY: by this function's own contract; each deferred is used once, for its `Settled` is consumed.
    unsafe {
        let mut scope = null_mut();
        if sys::napi_open_handle_scope(env, &raw mut scope) != sys::Status::napi_ok {
            return;
        }
        let made = catch_unwind(AssertUnwindSafe(|| make(env))).unwrap_or_else(|_| {
            Err(to_js(&EngineError::new(ErrorCode::Internal, "a result could not be converted")))
        });
        let _ = match made {
            Ok(value) => sys::napi_resolve_deferred(env, deferred.0, value),
            Err(e) => sys::napi_reject_deferred(env, deferred.0, JsError::from(e).into_value(env)),
        };
        sys::napi_close_handle_scope(env, scope);
    }
}

/// Called by Node when the environment ends, after which the function is freed.
unsafe extern "C" fn ended(_env: sys::napi_env, data: *mut std::ffi::c_void, _hint: *mut std::ffi::c_void) {
    // SAFETY: `new_queue` gave this reference away, and Node calls this once.
    let inbox = unsafe { Arc::from_raw(data.cast::<Inbox>().cast_const()) };
    *lock(&inbox.wake) = None;
    let left = std::mem::take(&mut *lock(&inbox.mail));
    drop(left);
    let _ = QUEUE.try_with(RefCell::take);
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(status: sys::napi_status) -> Result<()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(Error::new(Status::from(status), "a promise could not be made"))
}
