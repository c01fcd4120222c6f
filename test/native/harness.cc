// What ThreadSanitizer and AddressSanitizer are to see of the vCPU's thread and its ring, without node: they are built
// into this program together with the addon's own sources.
//
//   harness ring            one producer, one consumer
//   harness fake            threads whose KVM_RUN is an imitation, which waits and is interrupted as the kernel's is
//   harness writes          a thread that records while others write what KVM has said of the exit
//   harness waits           threads that wait for eventfds, write them, cancel and close them
//   harness news            threads whose news are taken by one that is called for them
//   harness log             threads whose exits go into one log, until one of them ends the run
//   harness deadlines       the deadlines of several threads, which end while others begin
//   harness kvm <device>    threads on a real KVM
//
// Ends with 0 and "ok", or with 1 and what is wrong.
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "../../native/core/exit_log.h"
#include "../../native/core/news.h"
#include "../../native/core/ring.h"
#include "../../native/core/settle.h"
#include "../../native/core/signals.h"
#include "../../native/core/vcpu_thread.h"
#include "../../native/core/waits.h"
#include "../../native/core/watchdog.h"

namespace {

constexpr unsigned kSeed = 20260605;
constexpr double kDeadlineSeconds = 60;
constexpr size_t kCapacity = 64;
constexpr size_t kUnionBytes = 16;
constexpr size_t kIoBytes = 8;
constexpr size_t kRecordSize = sizeof(RecordHeader) + kUnionBytes + kIoBytes;

[[noreturn]] void Fail(const char* what, uint64_t actual = 0, uint64_t expected = 0) {
  fprintf(stderr, "%s: %llu, expected %llu\n", what, static_cast<unsigned long long>(actual),
          static_cast<unsigned long long>(expected));
  _exit(1);
}

class Deadline {
 public:
  void Check(const char* what) const {
    if (std::chrono::steady_clock::now() > ends_) Fail(what);
  }

 private:
  std::chrono::steady_clock::time_point ends_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(static_cast<int>(kDeadlineSeconds));
};

void TestRing() {
  constexpr uint64_t kRecords = 500000;
  std::vector<uint8_t> memory(kCapacity * kRecordSize);
  RecordRing ring(memory.data(), kCapacity, kRecordSize);
  std::thread producer([&ring] {
    for (uint64_t i = 0; i < kRecords; i++) {
      uint8_t* slot;
      while (!(slot = ring.Reserve())) std::this_thread::yield();
      memset(slot, static_cast<int>(i & 0xff), kRecordSize);
      memcpy(slot, &i, sizeof i);
      ring.Publish();
    }
  });
  Deadline deadline;
  uint64_t next = 0;
  while (next < kRecords) {
    deadline.Check("the ring stands still");
    size_t ready = ring.Ready();
    for (size_t i = 0; i < ready; i++, next++) {
      const uint8_t* slot = memory.data() + (ring.Start() + i) * kRecordSize;
      uint64_t value;
      memcpy(&value, slot, sizeof value);
      if (value != next) Fail("record", value, next);
      if (slot[kRecordSize - 1] != (next & 0xff)) Fail("the last byte", slot[kRecordSize - 1], next & 0xff);
    }
    if (ready == 0) std::this_thread::yield();
    ring.Consume(ready);
  }
  producer.join();
}

// One vCPU whose guest writes 1, 2, 3, ... to a port. What it has said is collected as JavaScript would.
class Subject {
 public:
  Subject() : ring_memory_(kCapacity * kRecordSize), ring_(ring_memory_.data(), kCapacity, kRecordSize) {}
  virtual ~Subject() = default;

  void Start(bool record) {
    VcpuThread::Setup setup;
    setup.run = run_;
    setup.run_size = run_size_;
    setup.enter = [this] { return Enter(); };
    setup.settle = [this] { return Settle(); };
    setup.notify = [this](std::shared_ptr<VcpuThread> thread) {
      if (queue) queue->Post(std::move(thread));
      std::lock_guard<std::mutex> lock(mutex_);
      news_ += 1;
    };
    if (record) {
      setup.plan.reasons.set(KVM_EXIT_IO);
      setup.plan.ring = &ring_;
      setup.plan.union_bytes = kUnionBytes;
      setup.plan.io_bytes = kIoBytes;
      setup.plan.watermark = kCapacity / 2;
    }
    base_ = seen_;
    thread_ = VcpuThread::Start(std::move(setup));
  }

  // Takes what is there, and lets the vCPU go on. True if it has ended.
  bool Work() {
    size_t ready = ring_.Ready();
    for (size_t i = 0; i < ready; i++) {
      const uint8_t* slot = ring_memory_.data() + (ring_.Start() + i) * kRecordSize;
      RecordHeader header;
      memcpy(&header, slot, sizeof header);
      if (header.seq != seen_ - base_) Fail("seq of a record", header.seq, seen_ - base_);
      See(slot + sizeof header + kUnionBytes);
    }
    ring_.Consume(ready);
    VcpuThread::News news = thread_->news();
    if (news.phase == Phase::kFailed) Fail("KVM_RUN's errno", static_cast<uint64_t>(news.error), 0);
    bool ended = news.phase == Phase::kEnded;
    // Records that came before this exit are to be taken first.
    if (news.phase != Phase::kRunning && ring_.Waiting() > 0) return false;
    // At the end it may be one that was seen while the thread waited with it.
    bool fresh = news.held && news.seq >= seen_ - base_;
    if (fresh && (news.phase == Phase::kExit || ended)) {
      if (run_->exit_reason != KVM_EXIT_IO) Fail("exit_reason", run_->exit_reason, KVM_EXIT_IO);
      if (news.seq != seen_ - base_) Fail("seq of an exit", news.seq, seen_ - base_);
      See(reinterpret_cast<const uint8_t*>(run_) + run_->io.data_offset);
    }
    if (!ended && news.phase != Phase::kRunning) thread_->Resume();
    return ended;
  }

  void Stop() {
    thread_->Stop();
    Deadline deadline;
    while (!Work()) deadline.Check("the thread does not end");
    if (!thread_->Join(kDeadlineSeconds)) Fail("Join");
    if (run_->immediate_exit != 0) Fail("immediate_exit is left over", run_->immediate_exit, 0);
    const ThreadCounters& counters = thread_->counters();
    if (counters.exits != seen_ - base_) Fail("exits", seen_ - base_, counters.exits);
  }

  // Every kick is to be acknowledged, whatever the guest does.
  void Kick(bool pause) {
    uint64_t number = pause ? thread_->Pause() : thread_->Kick();
    Deadline deadline;
    while (thread_->news().acked < number) {
      deadline.Check("a kick was lost");
      Work();
    }
  }

  uint64_t seen() const { return seen_; }
  const VcpuThread* thread() const { return thread_.get(); }
  // Where its news go as well.
  NewsQueue* queue = nullptr;

 protected:
  virtual int Enter() = 0;
  virtual int Settle() = 0;

  kvm_run* run_ = nullptr;
  size_t run_size_ = 0;

 private:
  void See(const uint8_t* data) {
    uint32_t value;
    memcpy(&value, data, sizeof value);
    seen_ += 1;
    if (value != static_cast<uint32_t>(seen_)) Fail("what the guest wrote", value, seen_);
  }

  std::vector<uint8_t> ring_memory_;
  RecordRing ring_;
  std::shared_ptr<VcpuThread> thread_;
  uint64_t seen_ = 0;
  uint64_t base_ = 0;
  std::mutex mutex_;
  uint64_t news_ = 0;
};

// As KVM_RUN does it: immediate_exit is looked at once, a signal that comes later interrupts, nothing is lost between.
class FakeSubject : public Subject {
 public:
  explicit FakeSubject(unsigned seed) : page_(8192), random_(seed) {
    run_ = reinterpret_cast<kvm_run*>(page_.data());
    run_size_ = page_.size();
  }

 protected:
  int Enter() override {
    if (__atomic_load_n(&run_->immediate_exit, __ATOMIC_RELAXED)) return -EINTR;
    unsigned kind = random_() % 16;
    if (kind == 0) return -EAGAIN;
    if (kind == 1) {
      // A guest that waits. The signal is let in by ppoll alone, as the kernel sees it from inside KVM_RUN alone.
      sigset_t ours, before;
      sigemptyset(&ours);
      sigaddset(&ours, RunSignal());
      pthread_sigmask(SIG_BLOCK, &ours, &before);
      int result = 0;
      if (!__atomic_load_n(&run_->immediate_exit, __ATOMIC_RELAXED)) {
        timespec limit = {0, 2000000};
        result = ppoll(nullptr, 0, &limit, &before);
      }
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      return result < 0 ? -errno : -EINTR;
    }
    return MakeExit();
  }

  // KVM has now and then an exit left to tell of.
  int Settle() override { return random_() % 2 == 0 ? MakeExit() : -EINTR; }

 private:
  int MakeExit() {
    value_ += 1;
    run_->exit_reason = KVM_EXIT_IO;
    run_->io.direction = KVM_EXIT_IO_OUT;
    run_->io.size = 4;
    run_->io.count = 1;
    run_->io.port = 0x42;
    run_->io.data_offset = 4096;
    memcpy(page_.data() + 4096, &value_, sizeof value_);
    return 0;
  }

  std::vector<uint8_t> page_;
  std::mt19937 random_;
  uint32_t value_ = 0;
};

// JavaScript has the page of kvm_run as well, and may write it while the thread reads: whatever lies there, no byte beyond
// the page is read and none beyond the record is written.
void TestWrites() {
  constexpr uint64_t kRecords = 200000;
  std::vector<uint64_t> page(2 * 4096 / sizeof(uint64_t));
  auto* run = reinterpret_cast<kvm_run*>(page.data());
  std::vector<uint8_t> memory(kCapacity * kRecordSize);
  RecordRing ring(memory.data(), kCapacity, kRecordSize);
  VcpuThread::Setup setup;
  setup.run = run;
  setup.run_size = page.size() * sizeof(uint64_t);
  setup.enter = [] { return 0; };
  setup.settle = [] { return -EINTR; };
  setup.notify = [](std::shared_ptr<VcpuThread>) {};
  setup.plan.reasons.set(KVM_EXIT_IO);
  setup.plan.ring = &ring;
  setup.plan.union_bytes = kUnionBytes;
  setup.plan.io_bytes = kIoBytes;
  setup.plan.watermark = kCapacity / 2;
  run->exit_reason = KVM_EXIT_IO;

  std::atomic<bool> done{false};
  std::thread writer([run, &done] {
    const uint8_t sizes[] = {1, 2, 4, 8, 255};
    const uint32_t counts[] = {1, 2, 8, 4096, 0x40000000, 0xffffffff};
    const uint64_t offsets[] = {4096, 8184, 8188, 8192, 1 << 20, ~uint64_t{0} - 3};
    auto* words = reinterpret_cast<uint64_t*>(&run->io);
    for (size_t i = 0; !done; i++) {
      uint64_t word = KVM_EXIT_IO_OUT | uint64_t{sizes[i % 5]} << 8 | uint64_t{counts[i % 6]} << 32;
      __atomic_store_n(&words[0], word, __ATOMIC_RELAXED);
      __atomic_store_n(&words[1], offsets[i % 7 % 6], __ATOMIC_RELAXED);
    }
  });
  auto thread = VcpuThread::Start(std::move(setup));
  Deadline deadline;
  uint64_t records = 0;
  while (records < kRecords) {
    deadline.Check("nothing is recorded");
    size_t ready = ring.Ready();
    for (size_t i = 0; i < ready; i++) {
      RecordHeader header;
      memcpy(&header, memory.data() + (ring.Start() + i) * kRecordSize, sizeof header);
      if (header.io_bytes > kIoBytes) Fail("io_bytes", header.io_bytes, kIoBytes);
    }
    records += ready;
    ring.Consume(ready);
    // What cannot be recorded stops the vCPU.
    thread->Resume();
  }
  thread->Stop();
  if (!thread->Join(kDeadlineSeconds)) Fail("Join");
  done = true;
  writer.join();
}

int Ask(int fd, unsigned long request, unsigned long argument, const char* name) {
  int result = ioctl(fd, request, argument);
  if (result < 0) Fail(name, static_cast<uint64_t>(errno), 0);
  return result;
}

struct KvmVm {
  explicit KvmVm(const char* device) {
    system = open(device, O_RDWR | O_CLOEXEC);
    if (system < 0) Fail(device, static_cast<uint64_t>(errno), 0);
    fd = Ask(system, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
    run_size = static_cast<size_t>(Ask(system, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE"));
    Ask(fd, KVM_SET_TSS_ADDR, 0xfffbd000, "KVM_SET_TSS_ADDR");
    memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // inc eax; out 0x42, eax; jmp
    const uint8_t code[] = {0x66, 0x40, 0x66, 0xe7, 0x42, 0xeb, 0xf9};
    memcpy(memory, code, sizeof code);
    kvm_userspace_memory_region region = {0, 0, 0x1000, 4096, reinterpret_cast<uint64_t>(memory)};
    Ask(fd, KVM_SET_USER_MEMORY_REGION, reinterpret_cast<unsigned long>(&region), "KVM_SET_USER_MEMORY_REGION");
  }
  ~KvmVm() {
    close(fd);
    close(system);
    munmap(memory, 4096);
  }
  int system, fd;
  size_t run_size;
  void* memory;
};

class KvmSubject : public Subject {
 public:
  KvmSubject(const KvmVm& vm, unsigned long id) {
    fd_ = Ask(vm.fd, KVM_CREATE_VCPU, id, "KVM_CREATE_VCPU");
    run_size_ = vm.run_size;
    run_ = static_cast<kvm_run*>(mmap(nullptr, run_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
    kvm_sregs sregs;
    Ask(fd_, KVM_GET_SREGS, reinterpret_cast<unsigned long>(&sregs), "KVM_GET_SREGS");
    sregs.cs.base = 0x1000;
    sregs.cs.selector = 0x100;
    Ask(fd_, KVM_SET_SREGS, reinterpret_cast<unsigned long>(&sregs), "KVM_SET_SREGS");
    kvm_regs regs = {};
    regs.rflags = 2;
    Ask(fd_, KVM_SET_REGS, reinterpret_cast<unsigned long>(&regs), "KVM_SET_REGS");
  }
  ~KvmSubject() override {
    munmap(run_, run_size_);
    close(fd_);
  }

 protected:
  int Enter() override { return ioctl(fd_, KVM_RUN, 0) < 0 ? -errno : 0; }
  int Settle() override { return SettleVcpu(fd_, run_, run_size_); }

 private:
  int fd_;
};

// Runs them side by side, kicks and pauses and stops and starts them at random, and counts what they say.
void Exercise(std::vector<std::unique_ptr<Subject>>& subjects, int rounds, int steps) {
  std::mt19937 random(kSeed);
  for (int round = 0; round < rounds; round++) {
    for (auto& subject : subjects) subject->Start(random() % 2 == 0);
    for (int step = 0; step < steps; step++) {
      Subject& subject = *subjects[random() % subjects.size()];
      unsigned action = random() % 10;
      if (action < 6) {
        subject.Work();
      } else {
        subject.Kick(action == 9);
      }
    }
    for (auto& subject : subjects) subject->Stop();
  }
  for (auto& subject : subjects) printf("%llu exits\n", static_cast<unsigned long long>(subject->seen()));
}

int OpenFiles() {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

// Each wait ends once, whoever ends it; what was closed is closed, whatever the thread does.
void TestWaits() {
  constexpr int kThreads = 4, kRounds = 3000;
  int before = OpenFiles();
  std::atomic<uint64_t> begun{0}, done[4] = {};
  {
    Waits waits;
    std::vector<std::thread> threads;
    for (unsigned id = 0; id < kThreads; id++)
      threads.emplace_back([&, id] {
        std::mt19937 random(kSeed + id);
        std::shared_ptr<OwnedFd> fds[4];
        for (int round = 0; round < kRounds; round++) {
          std::shared_ptr<OwnedFd>& fd = fds[random() % 4];
          if (!fd) fd = std::make_shared<OwnedFd>(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
          uint64_t one = 1;
          switch (random() % 8) {
            case 0:
              if (write(fd->get(), &one, sizeof one) < 0) Fail("write", static_cast<uint64_t>(errno));
              break;
            case 1:
              if (read(fd->get(), &one, sizeof one) < 0 && errno != EAGAIN) Fail("read", static_cast<uint64_t>(errno));
              break;
            case 2: {
              waits.Cancel(fd.get());
              if (fd.use_count() != 1) Fail("holders of a cancelled file", static_cast<uint64_t>(fd.use_count()), 1);
              fd.reset();
              break;
            }
            default: {
              begun += 1;
              double seconds = random() % 4 == 0 ? 0 : random() % 4 == 1 ? 0.0005 : 100;
              int error = waits.Wait(fd, seconds, [&done](int result) {
                done[result == 0 ? 0 : result == -ETIME ? 1 : result == -ECANCELED ? 2 : 3] += 1;
              });
              if (error) Fail("Wait", static_cast<uint64_t>(error));
            }
          }
        }
        for (auto& fd : fds)
          if (fd) waits.Cancel(fd.get());
      });
    for (std::thread& thread : threads) thread.join();
    if (done[0] + done[1] + done[2] != begun) Fail("waits that ended", done[0] + done[1] + done[2], begun);
    for (int kind = 0; kind < 3; kind++)
      if (done[kind] == 0) Fail("no wait ended so", static_cast<uint64_t>(kind));
    if (OpenFiles() > before + 2) Fail("open files", static_cast<uint64_t>(OpenFiles()), static_cast<uint64_t>(before) + 2);
    // One that nobody ends is dropped.
    waits.Wait(std::make_shared<OwnedFd>(eventfd(0, EFD_CLOEXEC)), 100, [](int) { Fail("a wait ended after End"); });
    waits.End();
    if (waits.Wait(nullptr, 1, [](int) {}) == 0) Fail("a wait after End");
  }
  if (OpenFiles() != before) Fail("open files", static_cast<uint64_t>(OpenFiles()), static_cast<uint64_t>(before));
}

// As the event loop does it: whoever takes looks for more a moment, and sleeps until it is called.
void TestNews(std::vector<std::unique_ptr<Subject>>& subjects) {
  constexpr uint64_t kExits = 5000;
  std::mutex mutex;
  std::condition_variable changed;
  int calls = 0;
  NewsQueue queue([&] {
    std::lock_guard<std::mutex> lock(mutex);
    calls += 1;
    changed.notify_one();
  });
  queue.Reserve(subjects.size());
  for (auto& subject : subjects) {
    subject->queue = &queue;
    subject->Start(false);
  }
  auto slow = [&] {
    for (auto& subject : subjects)
      if (subject->seen() < kExits) return true;
    return false;
  };
  bool is_called = false;
  while (slow()) {
    if (!is_called) {
      std::unique_lock<std::mutex> lock(mutex);
      auto limit = std::chrono::seconds(static_cast<int>(kDeadlineSeconds));
      if (!changed.wait_for(lock, limit, [&] { return calls > 0; })) Fail("news were lost");
      calls = 0;
    }
    for (size_t count = queue.Begin(); count > 0; count--) {
      std::shared_ptr<VcpuThread> thread = queue.Next();
      if (!thread) Fail("fewer news than there were");
      for (auto& subject : subjects)
        if (subject->thread() == thread.get()) subject->Work();
    }
    is_called = queue.Expect() && queue.Look();
  }
  for (auto& subject : subjects) {
    subject->Stop();
    queue.Forget(subject->thread());
  }
  if (queue.Next()) Fail("news of a thread that was forgotten");
  queue.Close();
  calls = 0;
  queue.Post(nullptr);
  if (calls != 0 || queue.Begin() != 0) Fail("the queue is not closed");
}

// Threads that store their exits side by side, until one of them is the last that counts, and messages among them. Whoever reads
// sees whole ones only.
void TestLog() {
  constexpr unsigned kThreads = 4;
  constexpr uint16_t kPort = 0x42, kOther = 0x43;
  ExitLog log;
  uint32_t first = 0, sent = 0, met = 0;
  for (int round = 0; round < 40; round++) {
    const uint64_t count = 1 + static_cast<uint64_t>(round) * 500;
    LogGoal goal;
    goal.kind = LogGoal::kPort;
    goal.port = kPort;
    goal.count = count;
    std::bitset<256> reasons;
    reasons.set(KVM_EXIT_IO);
    log.Begin(reasons, goal, {0xe0, 0xdc, 0xe4});
    std::vector<std::thread> threads;
    for (unsigned id = 0; id < kThreads; id++)
      threads.emplace_back([&log, id] {
        std::vector<uint64_t> page(2 * 4096 / sizeof(uint64_t));
        auto* run = reinterpret_cast<kvm_run*>(page.data());
        run->exit_reason = KVM_EXIT_IO;
        run->io.direction = KVM_EXIT_IO_OUT;
        run->io.size = 4;
        run->io.count = 1;
        run->io.data_offset = 4096;
        for (uint32_t value = 1;; value++) {
          run->io.port = value % 3 == 0 ? kOther : kPort;
          run->s.regs.regs.rip = value;
          memcpy(reinterpret_cast<uint8_t*>(run) + 4096, &value, sizeof value);
          if (log.Log(run, page.size() * sizeof(uint64_t), id, value) == ExitLog::Next::kParks) return;
        }
      });
    uint32_t next = first, counted = 0, over = 0, late = 0;
    uint32_t seen[kThreads] = {};
    Deadline deadline;
    unsigned parked = 0;
    while (parked < kThreads) {
      deadline.Check("the run does not end");
      kvm_msi message = {};
      message.data = ++sent;
      if (!log.Sent(message, 1, sent)) Fail("no memory for a message");
      const uint32_t head = log.words()[ExitLog::kHead];
      for (; next < head; next++) {
        const uint64_t place = uint64_t{next} + 1024;
        const auto part = static_cast<size_t>(63 - __builtin_clzll(place)) - 10;
        LogRecord* records = log.part(part);
        if (!records) break;
        LogRecord& record = records[place - (uint64_t{1024} << part)];
        const uint32_t state = __atomic_load_n(&record.state, __ATOMIC_ACQUIRE);
        if (!(state & LogRecord::kFilled)) break;
        const unsigned id = state >> 16 & 0xff;
        if (id == LogRecord::kMessage) {
          memcpy(&message, record.payload, sizeof message);
          if (message.data != ++met || record.ns != met || record.rcx != 1) Fail("a message", message.data, met);
          continue;
        }
        if (id >= kThreads) Fail("vcpu", id, kThreads - 1);
        uint32_t value;
        memcpy(&value, record.payload + 16, sizeof value);
        if (value != ++seen[id] || record.rip != value || record.ns != value) Fail("an exit", value, seen[id]);
        if (over != 0) late += 1;
        if (value % 3 != 0 && ++counted == count) over = next + 1;
        if (state & LogRecord::kParked) parked += 1;
      }
      std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
    if (log.words()[ExitLog::kOver] != over) Fail("the exit that ends the run", log.words()[ExitLog::kOver], over);
    if (log.words()[ExitLog::kHead] != next) Fail("slots", log.words()[ExitLog::kHead], next);
    // Each other thread has had at most the exit that it was about to make, and the one before.
    if (late > 2 * (kThreads - 1)) Fail("exits after the end", late, 2 * (kThreads - 1));
    first = next;
  }
}

// Of a reason that is somebody's to look at, what is half of something goes on, and is there to be read.
void TestHalves() {
  constexpr uint32_t kReason = 45, kHalf = 0x310, kWhole = 0x300;
  ExitLog log;
  log.Begin({}, {}, {}, {kReason, 4, kHalf});
  std::vector<uint64_t> page(4096 / sizeof(uint64_t));
  auto* run = reinterpret_cast<kvm_run*>(page.data());
  auto next = [&](uint32_t reason, uint32_t value) {
    run->exit_reason = reason;
    memcpy(run->padding + 4, &value, sizeof value);
    return log.Log(run, page.size() * sizeof(uint64_t), 1, 7);
  };
  if (next(kReason, kHalf) != ExitLog::Next::kGoesOn) Fail("a half parks");
  if (next(kReason, kWhole) != ExitLog::Next::kParks) Fail("a whole goes on");
  if (next(kReason + 1, kHalf) != ExitLog::Next::kParks) Fail("another reason goes on");
  const LogRecord& half = log.part(0)[0];
  if (half.state != (LogRecord::kFilled | 1 << 16 | kReason) || half.ns != 7) Fail("the half", half.state, kReason);
  log.Begin({}, {}, {});
  if (next(kReason, kHalf) != ExitLog::Next::kParks) Fail("nobody has said that it is a half");
}

// What a KVM_RUN does of a deadline: it comes back when immediate_exit is set, or its thread is interrupted.
void AwaitEnd(kvm_run* run, const Deadline& deadline) {
  while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) {
    deadline.Check("a deadline was lost");
    timespec limit = {0, 500000};
    ppoll(nullptr, 0, &limit, nullptr);
  }
}

void RunWithDeadlines(unsigned seed, int rounds) {
  std::mt19937 random(seed);
  std::vector<uint64_t> page(4096 / sizeof(uint64_t));
  auto* run = reinterpret_cast<kvm_run*>(page.data());
  Deadline deadline;
  const char* failed = nullptr;
  int error = 0;
  Watch* watch = Watch::Mine(failed, error);
  if (!watch) Fail(failed, static_cast<uint64_t>(error));
  if (watch != Watch::Mine(failed, error)) Fail("a thread has two watches");
  const double never = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; round++) {
    bool late = true;
    switch (random() % 4) {
      case 0:
        watch->Begin(run, {0.001, never});
        AwaitEnd(run, deadline);
        break;
      case 1:
        // An end that lies in the past.
        watch->Begin(run, {100, 1});
        AwaitEnd(run, deadline);
        break;
      case 2:
        late = false;
        watch->Begin(run, {100, never});
        if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 12));
        break;
      default:
        // So short that either may come first.
        for (int i = 0; i < 200; i++) {
          watch->Begin(run, {1e-6, never});
          if (i % 20 == 0) std::this_thread::yield();
          watch->End();
          if (run->immediate_exit) Fail("a run that was over was ended");
        }
        continue;
    }
    if (watch->expired() != late) Fail("expired", watch->expired(), late);
    watch->End();
    if (watch->expired()) Fail("expired after the end", 1);
    if (run->immediate_exit) Fail("immediate_exit is left over", 1);
  }
}

// Each deadline ends the run of its own thread, and none of another; threads come and go meanwhile.
void TestDeadlines() {
  constexpr unsigned kThreads = 4;
  constexpr int kRounds = 300;
  std::vector<std::thread> threads;
  for (unsigned id = 0; id < kThreads; id++) threads.emplace_back([id] { RunWithDeadlines(kSeed + id, kRounds); });
  for (unsigned id = 0; id < 50; id++) std::thread([id] { RunWithDeadlines(kSeed + 100 + id, 5); }).join();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  std::vector<std::unique_ptr<Subject>> subjects;
  if (strcmp(what, "ring") == 0) {
    TestRing();
  } else if (strcmp(what, "writes") == 0) {
    TestWrites();
  } else if (strcmp(what, "waits") == 0) {
    TestWaits();
  } else if (strcmp(what, "log") == 0) {
    TestLog();
    TestHalves();
  } else if (strcmp(what, "deadlines") == 0) {
    TestDeadlines();
  } else if (strcmp(what, "news") == 0) {
    for (unsigned i = 0; i < 4; i++) subjects.push_back(std::make_unique<FakeSubject>(kSeed + i));
    TestNews(subjects);
  } else if (strcmp(what, "fake") == 0) {
    for (unsigned i = 0; i < 4; i++) subjects.push_back(std::make_unique<FakeSubject>(kSeed + i));
    Exercise(subjects, 40, 1000);
  } else if (strcmp(what, "kvm") == 0 && argc > 2) {
    KvmVm vm(argv[2]);
    for (unsigned i = 0; i < 4; i++) subjects.push_back(std::make_unique<KvmSubject>(vm, i));
    Exercise(subjects, 20, 500);
    subjects.clear();
  } else {
    fprintf(stderr, "usage: harness ring | writes | waits | news | log | deadlines | fake | kvm <device>\n");
    return 2;
  }
  puts("ok");
  return 0;
}
