// The thread that keeps the deadlines.
#include "watchdog.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "clock.h"
#include "signals.h"

namespace {

// Between two looks: at most, and at least however short a deadline is.
constexpr double kLookNs = 4e6;
constexpr double kShortLookNs = 5e5;
constexpr double kNever = std::numeric_limits<double>::infinity();

double NowNs() { return static_cast<double>(MonotonicNs()); }

}  // namespace

// Lives as long as the process, as its thread does.
class Watchdog {
 public:
  static Watchdog& Get() {
    static Watchdog* watchdog = new Watchdog;
    return *watchdog;
  }

  // Throws std::system_error if there can be no thread.
  void Add(Watch& watch) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!running_) {
      SignalsHeld held;
      std::thread([this] { Loop(); }).detach();
      running_ = true;
    }
    watch.next_ = first_;
    first_ = &watch;
  }

  void Remove(Watch& watch) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Watch** link = &first_; *link; link = &(*link)->next_)
      if (*link == &watch) {
        *link = watch.next_;
        return;
      }
  }

  bool sleeps() const { return sleeps_.load(); }

  void Wake() {
    if (!sleeps_.exchange(false)) return;
    std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_one();
  }

  // When the watchdog looked last: no later than now.
  double looked_ns() const { return looked_ns_.load(std::memory_order_relaxed); }

  // Returns when it is done with whoever it found late.
  void Await() { std::lock_guard<std::mutex> lock(mutex_); }

 private:
  void Loop() {
    pthread_setname_np(pthread_self(), "kvm deadlines");
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      double next = Look();
      if (!moves_) {
        // Whoever goes in from here on wakes it; who went in before has been seen, or is now.
        sleeps_ = true;
        next = Look();
        if (moves_) sleeps_ = false;
      }
      if (moves_) next = std::min(next, looked_ns() + interval_ns_);
      auto woken = [this, asleep = !moves_] { return asleep && !sleeps_; };
      if (next == kNever)
        changed_.wait(lock, woken);
      else
        changed_.wait_until(lock, TimePoint(next), woken);
      sleeps_ = false;
    }
  }

  static std::chrono::steady_clock::time_point TimePoint(double ns) {
    // Not past what the type holds.
    auto whole = static_cast<int64_t>(std::min(ns, 4e18));
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(whole));
  }

  // Gives the moment of the next deadline among the runs that it sees. `moves_`: somebody has gone in since the last look.
  double Look() {
    double now = NowNs();
    double next = kNever;
    looked_ns_.store(now, std::memory_order_relaxed);
    moves_ = false;
    interval_ns_ = kLookNs;
    for (Watch* watch = first_; watch; watch = watch->next_) {
      uint64_t state = watch->state_.load();
      if ((state | Watch::kMask) != (watch->seen_ | Watch::kMask)) {
        moves_ = true;
        double seconds = watch->seconds_.load(std::memory_order_acquire);
        double ends_ns = watch->ends_ns_.load(std::memory_order_acquire);
        interval_ns_ = std::max(std::min(interval_ns_, seconds * 5e8), kShortLookNs);
        // Written for a later run already: that one is seen at the next look.
        if (watch->state_.load() != state) continue;
        watch->seen_ = state;
        watch->due_ns_ = std::min(now + seconds * 1e9, ends_ns);
      }
      if ((state & Watch::kMask) != Watch::kIn) continue;
      if (watch->due_ns_ > now)
        next = std::min(next, watch->due_ns_);
      else
        End(*watch, state);
    }
    return next;
  }

  // Under the mutex, so that who is late can wait for the end of this.
  static void End(Watch& watch, uint64_t state) {
    kvm_run* run = watch.run_.load(std::memory_order_acquire);
    if (!watch.state_.compare_exchange_strong(state, (state & ~Watch::kMask) | Watch::kLate)) return;
    __atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    InterruptThread(watch.tid_);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> sleeps_{false};
  std::atomic<double> looked_ns_{0};
  Watch* first_ = nullptr;
  bool running_ = false;
  // Of the last look.
  bool moves_ = false;
  double interval_ns_ = kLookNs;
};

// initial-exec: a call less for each run. glibc keeps some room for that; musl's loader refuses a library that is loaded later.
#ifdef __GLIBC__
#define TLS_MODEL __attribute__((tls_model("initial-exec")))
#else
#define TLS_MODEL
#endif
static TLS_MODEL thread_local Watch* mine = nullptr;

struct WatchOwner {
  std::unique_ptr<Watch> watch;

  ~WatchOwner() {
    if (watch) Watchdog::Get().Remove(*watch);
    mine = nullptr;
  }

  // Throws std::system_error, std::bad_alloc.
  void Make() {
    std::unique_ptr<Watch> made(new Watch);
    made->tid_ = static_cast<pid_t>(syscall(SYS_gettid));
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, RunSignal());
    sigaddset(&ours, kSpareSignal);
    pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
    Watchdog::Get().Add(*made);
    watch = std::move(made);
    mine = watch.get();
  }
};

Watch* Watch::Mine(const char*& failed, int& error) {
  if (mine) return mine;
  failed = "sigaction";
  error = InstallRunSignal();
  if (error) return nullptr;
  static thread_local WatchOwner owner;
  failed = "pthread_create";
  try {
    owner.Make();
  } catch (const std::system_error& thrown) {
    error = thrown.code().value();
  } catch (const std::bad_alloc&) {
    error = ENOMEM;
  }
  return mine;
}

void Watch::Begin(kvm_run* run, const RunLimit& limit) {
  Watchdog& watchdog = Watchdog::Get();
  uint64_t number = (state_.load(std::memory_order_relaxed) & ~uint64_t{kMask}) + kOne;
  // Whoever reads one of these sees that the last run is over.
  run_.store(run, std::memory_order_release);
  seconds_.store(limit.seconds, std::memory_order_release);
  ends_ns_.store(limit.ends_ns, std::memory_order_release);
  // One whose time was over before goes in all the same, and comes out at once: KVM does what the last exit left to do.
  bool late = watchdog.looked_ns() >= limit.ends_ns;
  if (late) __atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
  // Sequentially consistent, as the watchdog's falling asleep is: one of both sees the other.
  state_.exchange(number | (late ? kLate : kIn));
  if (watchdog.sleeps()) watchdog.Wake();
}

void Watch::End() {
  uint64_t state = state_.load(std::memory_order_relaxed);
  if ((state_.exchange(state & ~uint64_t{kMask}) & kMask) != kLate) return;
  Watchdog::Get().Await();
  __atomic_store_n(&run_.load(std::memory_order_relaxed)->immediate_exit, 0, __ATOMIC_SEQ_CST);
}
