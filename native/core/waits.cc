// The thread that waits, and its table of files.
#include "waits.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "signals.h"

namespace {

// epoll's number of the eventfd that wakes the thread.
constexpr uint64_t kWakeNumber = 0;

[[noreturn]] void Throw(const char* call, int error) {
  throw std::system_error(error, std::generic_category(), call);
}

}  // namespace

Waits::Waits() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_.open()) Throw("epoll_create1", errno);
  wake_ = OwnedFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.open()) Throw("eventfd", errno);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWakeNumber;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) Throw("epoll_ctl", errno);
  // The process' signals are for threads that expect them.
  SignalsHeld held;
  try {
    thread_ = std::thread([this] { Main(); });
  } catch (const std::system_error& error) {
    Throw("pthread_create", error.code().value());
  }
}

Waits::~Waits() {
  // Without an environment that cleaned up, the process is ending and nothing joins.
  if (thread_.joinable()) thread_.detach();
}

int Waits::Wait(std::shared_ptr<OwnedFd> fd, double seconds, Done done) {
  Key key{Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)), 0};
  const OwnedFd* file = fd.get();
  std::lock_guard<std::mutex> lock(mutex_);
  if (error_) return error_;
  if (ended_) return ECANCELED;
  key.second = next_++;
  auto found = files_.find(file);
  bool fresh = found == files_.end();
  try {
    if (fresh) {
      found = files_.emplace(file, File{fd, key.second, {}}).first;
      numbers_[key.second] = file;
    }
    found->second.waits.insert(key);
    waits_[key] = Waiter{file, std::move(done)};
  } catch (...) {
    waits_.erase(key);
    if (found != files_.end()) {
      found->second.waits.erase(key);
      if (fresh) {
        numbers_.erase(key.second);
        files_.erase(found);
      }
    }
    throw;
  }
  if (fresh) {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.u64 = key.second;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd->get(), &event) != 0) {
      int error = errno;
      waits_.erase(key);
      numbers_.erase(key.second);
      files_.erase(found);
      return error;
    }
  }
  // Nobody has told the thread of an earlier deadline.
  if (waits_.begin()->first == key) Wake();
  return 0;
}

void Waits::Cancel(const OwnedFd* fd) {
  std::lock_guard<std::mutex> lock(mutex_);
  FinishFile(fd, -ECANCELED);
}

void Waits::End() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    while (!files_.empty()) Drop(files_.begin()->first);
    waits_.clear();
  }
  Wake();
  thread_.join();
}

void Waits::Wake() {
  uint64_t one = 1;
  // It fails only when the counter is full, and then the thread is awake anyway.
  if (write(wake_.get(), &one, sizeof one) < 0) return;
}

void Waits::FinishFile(const OwnedFd* fd, int result) {
  auto found = files_.find(fd);
  if (found == files_.end()) return;
  for (const Key& key : found->second.waits) {
    auto waiter = waits_.find(key);
    waiter->second.done(result);
    waits_.erase(waiter);
  }
  Drop(fd);
}

// Out of epoll before it can be closed: KVM may have the file as well, and epoll keeps what is open anywhere.
void Waits::Drop(const OwnedFd* fd) {
  auto found = files_.find(fd);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd->get(), nullptr);
  numbers_.erase(found->second.number);
  files_.erase(found);
}

void Waits::FinishLate() {
  auto now = Clock::now();
  while (!waits_.empty() && waits_.begin()->first.first <= now) {
    auto waiter = waits_.begin();
    auto file = files_.find(waiter->second.fd);
    file->second.waits.erase(waiter->first);
    waiter->second.done(-ETIME);
    if (file->second.waits.empty()) Drop(waiter->second.fd);
    waits_.erase(waiter);
  }
}

int Waits::Timeout() const {
  if (waits_.empty()) return -1;
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(waits_.begin()->first.first - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left + 1, 0, 1 << 30));
}

void Waits::Main() {
  int error = 0;
  try {
    Loop();
    return;
  } catch (const std::system_error& thrown) {
    error = thrown.code().value();
  } catch (const std::bad_alloc&) {
    error = ENOMEM;
  }
  Fail(error);
}

// Whoever waits is told, and so is whoever wants to.
void Waits::Fail(int error) {
  std::lock_guard<std::mutex> lock(mutex_);
  error_ = error;
  while (!files_.empty()) FinishFile(files_.begin()->first, -error);
}

void Waits::Loop() {
  constexpr int kEvents = 64;
  epoll_event events[kEvents];
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ended_) {
    int timeout = Timeout();
    lock.unlock();
    int count = epoll_wait(epoll_.get(), events, kEvents, timeout);
    int error = errno;
    lock.lock();
    if (count < 0 && error != EINTR) Throw("epoll_wait", error);
    for (int i = 0; i < count; i++) {
      uint64_t number = events[i].data.u64;
      uint64_t value;
      if (number == kWakeNumber) {
        if (read(wake_.get(), &value, sizeof value) < 0) continue;
      } else if (auto file = numbers_.find(number); file != numbers_.end()) {
        FinishFile(file->second, 0);
      }
    }
    FinishLate();
  }
}
