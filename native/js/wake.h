// News of the vCPUs' threads, on their way to JavaScript.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>

#include "../core/news.h"
#include "../core/vcpu_thread.h"

class Vcpu;

// The way from the vCPUs' threads to JavaScript: one thread-safe function per environment, whatever the number of
// vCPUs, and one call of it for all that have news at that moment. It also ends the threads when their environment
// does (a worker that is terminated, a process that runs out of work).
class Wake : public std::enable_shared_from_this<Wake> {
 public:
  // The one of this environment. Throws Napi::Error.
  static std::shared_ptr<Wake> Of(Napi::Env env);

  // Any thread: this vCPU has news.
  void Post(std::shared_ptr<VcpuThread> thread) { news_.Post(std::move(thread)); }

  // The JavaScript thread only: one vCPU more may post; whose news these are; and how many vCPUs keep the event loop alive.
  void Expect() { news_.Reserve(entries_.size() + 1); }
  void Add(const std::shared_ptr<VcpuThread>& thread, Vcpu* owner);
  void Remove(VcpuThread* thread);
  void Hold(Napi::Env env);
  void Release(Napi::Env env);

 private:
  struct Entry {
    std::shared_ptr<VcpuThread> thread;
    Vcpu* owner;
  };
  // How long the vCPUs may keep the event loop from its other work: of the thread-safe function's calls the loop takes up to
  // a thousand in a row.
  static constexpr uint64_t kTurnNs = 1'000'000;
  static void CallJs(napi_env env, napi_value, void* context, void* looks);
  static void EndEnvironment(void* holder);
  bool Deliver(Napi::Env env);
  void EndThreads();

  napi_threadsafe_function function_ = nullptr;
  std::unordered_map<VcpuThread*, Entry> entries_;
  size_t holders_ = 0;
  bool closed_ = false;
  uint64_t begun_ns_ = 0;
  NewsQueue news_{[this] { napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking); }};
};
