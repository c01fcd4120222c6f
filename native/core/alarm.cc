// The thread that keeps the time.
#include "alarm.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "signals.h"

// Lives as long as the process, as its thread does.
class AlarmClock {
 public:
  static AlarmClock& Get() {
    static AlarmClock* clock = new AlarmClock;
    return *clock;
  }

  int Add(Alarm& alarm) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!running_) {
      SignalsHeld held;
      std::thread([this] { Loop(); }).detach();
      running_ = true;
    }
    alarm.next_ = first_;
    first_ = &alarm;
    changed_.notify_one();
    return 0;
  }

  void Remove(Alarm& alarm) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Alarm** link = &first_; *link; link = &(*link)->next_)
      if (*link == &alarm) {
        *link = alarm.next_;
        return;
      }
  }

 private:
  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const Alarm* nearest = nullptr;
      for (Alarm* alarm = first_; alarm; alarm = alarm->next_)
        if (!alarm->expired_ && (!nearest || alarm->ends_ < nearest->ends_)) nearest = alarm;
      if (!nearest) {
        changed_.wait(lock);
        continue;
      }
      auto ends = nearest->ends_;
      changed_.wait_until(lock, ends);
      auto now = std::chrono::steady_clock::now();
      for (Alarm* alarm = first_; alarm; alarm = alarm->next_)
        if (!alarm->expired_ && alarm->ends_ <= now) Ring(*alarm);
    }
  }

  // Under the mutex: whoever armed it is still there.
  static void Ring(Alarm& alarm) {
    alarm.expired_ = true;
    __atomic_store_n(&alarm.run_->immediate_exit, 1, __ATOMIC_SEQ_CST);
    // Not the run signal: it could come when the thread has the next deadline, and be taken for that one's.
    syscall(SYS_tgkill, getpid(), alarm.tid_, kSpareSignal);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Alarm* first_ = nullptr;
  bool running_ = false;
};

int Alarm::Arm(kvm_run* run, double seconds) {
  if (int error = InstallSpareSignal()) return error;
  sigset_t spare;
  sigemptyset(&spare);
  sigaddset(&spare, kSpareSignal);
  pthread_sigmask(SIG_UNBLOCK, &spare, nullptr);
  run_ = run;
  tid_ = static_cast<pid_t>(syscall(SYS_gettid));
  ends_ = std::chrono::steady_clock::now() +
          std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
  try {
    if (int error = AlarmClock::Get().Add(*this)) return error;
  } catch (const std::system_error& error) {
    return error.code().value();
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  armed_ = true;
  return 0;
}

void Alarm::Disarm() {
  if (armed_) AlarmClock::Get().Remove(*this);
  armed_ = false;
}
