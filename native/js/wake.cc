// One thread-safe function for all vCPUs.
#include "wake.h"

#include <exception>

#include "../core/clock.h"
#include "addon.h"
#include "vcpu.h"

std::shared_ptr<Wake> Wake::Of(Napi::Env env) {
  std::shared_ptr<Wake>& wake = Addon::Of(env).wake;
  if (wake) return wake;
  auto made = std::make_shared<Wake>();
  // The function outlives the last thread that may call it: it belongs to the node-api environment, whose hooks run in
  // the reverse order of their making, so that EndEnvironment comes before the function's own end.
  napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "kvm-dsm vCPUs"), 0,
                                                       1, nullptr, nullptr, made.get(), CallJs, &made->function_);
  if (status != napi_ok) throw Napi::Error::New(env);
  napi_unref_threadsafe_function(env, made->function_);
  napi_add_env_cleanup_hook(env, EndEnvironment, new std::shared_ptr<Wake>(made));
  wake = made;
  return made;
}

// A vCPU that JavaScript lets go on is often back before the event loop could go to sleep and be woken. What `for await` does
// comes in a microtask behind this call: the look is a call of its own.
void Wake::CallJs(napi_env env, napi_value, void* context, void* looks) {
  if (!env) return;
  std::shared_ptr<Wake> wake = static_cast<Wake*>(context)->shared_from_this();
  if (!looks)
    wake->begun_ns_ = MonotonicNs();
  else if (wake->holders_ == 0 || !wake->news_.Look())
    return;
  if (wake->Deliver(env) && wake->news_.Expect() && MonotonicNs() - wake->begun_ns_ < kTurnNs)
    napi_call_threadsafe_function(wake->function_, wake.get(), napi_tsfn_nonblocking);
}

// True if more may come soon.
bool Wake::Deliver(Napi::Env env) {
  bool expects = false;
  Napi::HandleScope scope(env);
  for (size_t count = news_.Begin(); count > 0; count--) {
    std::shared_ptr<VcpuThread> thread = news_.Next();
    if (!thread) break;
    auto entry = entries_.find(thread.get());
    if (entry == entries_.end()) continue;
    try {
      if (entry->second.owner->Deliver(env)) expects = true;
    } catch (const Napi::Error& error) {
      napi_fatal_exception(env, error.Value());
    } catch (const std::exception& error) {
      napi_fatal_exception(env, Napi::Error::New(env, error.what()).Value());
    }
  }
  return expects;
}

void Wake::Add(const std::shared_ptr<VcpuThread>& thread, Vcpu* owner) { entries_[thread.get()] = {thread, owner}; }

void Wake::Remove(VcpuThread* thread) {
  entries_.erase(thread);
  // What waits in the queue would keep the vCPU's file descriptor open.
  news_.Forget(thread);
}

void Wake::Hold(Napi::Env env) {
  if (holders_++ == 0 && !closed_) napi_ref_threadsafe_function(env, function_);
}

void Wake::Release(Napi::Env env) {
  if (--holders_ == 0 && !closed_) napi_unref_threadsafe_function(env, function_);
}

void Wake::EndEnvironment(void* holder) {
  std::unique_ptr<std::shared_ptr<Wake>> wake(static_cast<std::shared_ptr<Wake>*>(holder));
  (*wake)->EndThreads();
}

void Wake::EndThreads() {
  for (auto& [thread, entry] : entries_) thread->Stop();
  for (auto& [thread, entry] : entries_) thread->Join(kJoinSeconds);
  closed_ = true;
  news_.Close();
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
}
