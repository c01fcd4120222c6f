// Waiting for file descriptors without holding up the event loop.
#pragma once

#include <napi.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "../core/owned_fd.h"

// Waits for file descriptors to become readable beside the event loop: one thread for all waits of an environment.
class Poller : public std::enable_shared_from_this<Poller> {
 public:
  // The environment's own, made when it is first asked for; its thread ends with the environment.
  static std::shared_ptr<Poller> Of(Napi::Env env);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Calls `callback` with 0 once `fd` is readable, with -ETIME after `seconds`, or with -ECANCELED.
  void Wait(Napi::Env env, std::shared_ptr<OwnedFd> fd, double seconds, Napi::Function callback);
  // Ends every wait for `fd` with -ECANCELED.
  void Cancel(const std::shared_ptr<OwnedFd>& fd);

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiter {
    std::shared_ptr<OwnedFd> fd;
    Clock::time_point ends;
    Napi::ThreadSafeFunction callback;
    bool done = false;
  };

  explicit Poller(Napi::Env env);
  static void Stop(void* poller);
  void Loop();
  void Wake();
  // With mutex_ held.
  void Finish(Waiter& waiter, int result);

  OwnedFd wake_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Waiter>> waiters_;
  bool stopped_ = false;
  std::thread thread_;
};
