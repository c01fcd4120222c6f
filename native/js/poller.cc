// The thread that polls.
#include "poller.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>

#include "addon.h"
#include "errors.h"

std::shared_ptr<Poller> Poller::Of(Napi::Env env) {
  std::shared_ptr<Poller>& poller = Addon::Of(env).poller;
  if (!poller) poller.reset(new Poller(env));
  return poller;
}

Poller::Poller(Napi::Env env) : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_.open()) throw ErrnoError(env, "eventfd", errno);
  // The process' signals are for threads that expect them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = 0;
  try {
    thread_ = std::thread([this] { Loop(); });
  } catch (const std::system_error& error) {
    failed = error.code().value();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed) throw ErrnoError(env, "pthread_create", failed);
  napi_add_env_cleanup_hook(env, Stop, this);
}

Poller::~Poller() {
  // Without an environment that cleaned up, the process is ending and nothing joins.
  if (thread_.joinable()) thread_.detach();
}

void Poller::Stop(void* data) {
  auto* poller = static_cast<Poller*>(data);
  {
    std::lock_guard<std::mutex> lock(poller->mutex_);
    poller->stopped_ = true;
    for (auto& waiter : poller->waiters_) {
      waiter->done = true;
      waiter->callback.Release();
    }
    poller->waiters_.clear();
  }
  poller->Wake();
  poller->thread_.join();
}

void Poller::Wake() {
  uint64_t one = 1;
  // It fails only when the counter is full, and then the thread is awake anyway.
  if (write(wake_.get(), &one, sizeof one) < 0) return;
}

void Poller::Wait(Napi::Env env, std::shared_ptr<OwnedFd> fd, double seconds, Napi::Function callback) {
  auto waiter = std::make_shared<Waiter>();
  waiter->fd = std::move(fd);
  waiter->ends = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  waiter->callback = Napi::ThreadSafeFunction::New(env, callback, "kvm-dsm wait", 0, 1);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) {
      waiter->callback.Release();
      return;
    }
    waiters_.push_back(std::move(waiter));
  }
  Wake();
}

void Poller::Cancel(const std::shared_ptr<OwnedFd>& fd) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto& waiter : waiters_)
    if (waiter->fd == fd) Finish(*waiter, -ECANCELED);
  waiters_.erase(std::remove_if(waiters_.begin(), waiters_.end(), [](const auto& waiter) { return waiter->done; }),
                 waiters_.end());
}

void Poller::Finish(Waiter& waiter, int result) {
  waiter.done = true;
  napi_status status = waiter.callback.NonBlockingCall([result](Napi::Env env, Napi::Function callback) {
    callback.Call({Napi::Number::New(env, result)});
  });
  // The environment is ending: it has taken our hold already.
  if (status != napi_closing) waiter.callback.Release();
}

void Poller::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopped_) {
    auto now = Clock::now();
    auto nearest = Clock::time_point::max();
    // The waiters hold their descriptors open for as long as they are polled.
    std::vector<std::shared_ptr<Waiter>> waiters = waiters_;
    std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
    for (const auto& waiter : waiters) {
      polled.push_back({waiter->fd->get(), POLLIN, 0});
      nearest = std::min(nearest, waiter->ends);
    }
    int timeout = -1;
    if (!waiters.empty()) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(nearest - now).count() + 1;
      timeout = static_cast<int>(std::clamp<decltype(left)>(left, 0, 1 << 30));
    }
    lock.unlock();
    poll(polled.data(), polled.size(), timeout);
    uint64_t count;
    if (polled[0].revents && read(wake_.get(), &count, sizeof count) < 0) count = 0;
    lock.lock();
    if (stopped_) return;
    now = Clock::now();
    for (size_t i = 0; i < waiters.size(); i++) {
      if (waiters[i]->done) continue;
      if (polled[i + 1].revents)
        Finish(*waiters[i], 0);
      else if (now >= waiters[i]->ends)
        Finish(*waiters[i], -ETIME);
    }
    waiters_.erase(std::remove_if(waiters_.begin(), waiters_.end(), [](const auto& waiter) { return waiter->done; }),
                   waiters_.end());
  }
}
