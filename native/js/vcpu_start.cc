// A vCPU on a thread of its own, as JavaScript drives it.
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <vector>

#include "../core/settle.h"
#include "arguments.h"
#include "errors.h"
#include "exit_log.h"
#include "vcpu.h"
#include "wake.h"

namespace {

// Argument `index` as an integer in min..max.
uint64_t Within(const Napi::CallbackInfo& info, size_t index, const char* name, uint64_t min, uint64_t max) {
  uint64_t number = IntegerArgument(info, index, name, static_cast<double>(max));
  if (number < min) throw ArgumentError(info.Env(), std::string(name) + " is not an integer in its range");
  return number;
}

}  // namespace

VcpuThread& Vcpu::thread(Napi::Env env) {
  if (!thread_) throw CodedError(env, "ERR_VCPU_NOT_STARTED", "the vCPU has no thread");
  return *thread_;
}

// What a thread of this vCPU needs, whatever becomes of its exits: of the arguments (onNews, vcpuId).
VcpuThread::Setup Vcpu::SetupOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsFunction()) throw ArgumentError(env, "onNews is not a function");
  VcpuThread::Setup setup;
  setup.id = static_cast<unsigned>(IntegerArgument(info, 1, "vcpuId", UINT32_MAX));
  snprintf(setup.name, sizeof setup.name, "vcpu %u", setup.id);
  parts(env);
  if (!ended_) throw CodedError(env, "ERR_VCPU_BUSY", "the vCPU has a thread already");
  setup.run = static_cast<kvm_run*>(parts_->run->data());
  setup.run_size = parts_->run->size();
  int fd = parts_->fd.get();
  setup.enter = [fd] { return ioctl(fd, KVM_RUN, 0) < 0 ? -errno : 0; };
  setup.settle = [fd, run = setup.run, size = setup.run_size] { return SettleVcpu(fd, run, size); };
  return setup;
}

// (onNews, vcpuId, reasons | null, capacity, unionBytes, ioBytes, watermark, rip): the memory of the ring into which exits
// of these reasons go, a byte each, or null. onNews(phase, errno, acked, held, seq, ns) is called on this thread, once for
// all that has happened since its last call, and must not throw.
Napi::Value Vcpu::Start(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VcpuThread::Setup setup = SetupOf(info);
  bool records = !info[2].IsNull();
  size_t capacity = 0;
  if (records) {
    Bytes reasons = BytesArgument(info, 2, "reasons");
    capacity = Within(info, 3, "capacity", 2, 1 << 20);
    if (capacity & (capacity - 1)) throw ArgumentError(env, "capacity is not a power of two");
    RecordPlan& plan = setup.plan;
    plan.union_bytes = Within(info, 4, "unionBytes", 16, 256);
    plan.io_bytes = IntegerArgument(info, 5, "ioBytes", 4096);
    plan.watermark = Within(info, 6, "watermark", 1, capacity);
    plan.rip = info[7].ToBoolean();
    for (size_t i = 0; i < reasons.size; i++) plan.reasons.set(reasons.data[i]);
  }

  Napi::Value memory = env.Null();
  std::shared_ptr<RecordRing> ring;
  std::shared_ptr<MappedRange> ring_memory;
  if (records) {
    size_t record_size = (sizeof(RecordHeader) + setup.plan.union_bytes + setup.plan.io_bytes + 7) & ~size_t{7};
    ring_memory = Mapped(env, MappedRange::Anonymous(capacity * record_size));
    ring = std::make_shared<RecordRing>(static_cast<uint8_t*>(ring_memory->data()), capacity, record_size);
    setup.plan.ring = ring.get();
    memory = ViewOf(env, ring_memory);
  }
  struct Kept {
    std::shared_ptr<VcpuParts> parts;
    std::shared_ptr<RecordRing> ring;
    std::shared_ptr<MappedRange> ring_memory;
  };
  setup.keep = std::make_shared<Kept>(Kept{parts_, ring, ring_memory});
  StartThread(env, std::move(setup), info[0].As<Napi::Function>());
  ring_ = ring;
  ring_memory_ = ring_memory;
  return memory;
}

// (onNews, vcpuId, log): its exits go into the log.
Napi::Value Vcpu::StartInto(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VcpuThread::Setup setup = SetupOf(info);
  if (setup.id >= ExitLog::kMaxVcpus) throw ArgumentError(env, "vcpuId is not an integer in its range");
  setup.log = ExitLogObject::Argument(info, 2);
  setup.keep = parts_;
  StartThread(env, std::move(setup), info[0].As<Napi::Function>());
  ring_.reset();
  ring_memory_.reset();
  return env.Null();
}

void Vcpu::StartThread(Napi::Env env, VcpuThread::Setup setup, Napi::Function on_news) {
  wake_ = Wake::Of(env);
  wake_->Expect();
  setup.notify = [wake = wake_](std::shared_ptr<VcpuThread> thread) { wake->Post(std::move(thread)); };

  on_news_ = Napi::Persistent(on_news);
  on_news_.Unref();
  told_ = 0;
  try {
    thread_ = VcpuThread::Start(std::move(setup));
  } catch (const std::system_error& error) {
    on_news_.Reset();
    throw ErrnoError(env, "pthread_create", error.code().value());
  }
  try {
    wake_->Add(thread_, this);
  } catch (...) {
    // Nobody would hear of it.
    thread_->Stop();
    thread_->Join(kJoinSeconds);
    throw;
  }
  ended_ = false;
  Hold(env);
}

void Vcpu::Hold(Napi::Env env) {
  if (held_) return;
  held_ = true;
  Ref();
  on_news_.Ref();
  wake_->Hold(env);
}

void Vcpu::Release(Napi::Env env) {
  if (!held_) return;
  held_ = false;
  wake_->Release(env);
  on_news_.Unref();
  Unref();
}

bool Vcpu::Deliver(Napi::Env env) {
  VcpuThread::News news = thread_->news();
  Napi::Function on_news = on_news_.Value();
  Napi::Object self = Value();  // it lives until the end of this call, even if Release leaves it to the collector
  if (news.phase != Phase::kRunning) Release(env);
  if (news.phase == Phase::kEnded) {
    thread_->Join(kJoinSeconds);
    wake_->Remove(thread_.get());
    ended_ = true;
  }
  on_news.Call(self, {Napi::Number::New(env, static_cast<int>(news.phase)), Napi::Number::New(env, news.error),
                      Napi::Number::New(env, static_cast<double>(news.acked)), Napi::Boolean::New(env, news.held),
                      Napi::Number::New(env, static_cast<double>(news.seq)),
                      Napi::Number::New(env, static_cast<double>(news.ns))});
  bool is_told = news.acked > told_;
  told_ = news.acked;
  return is_told || news.phase == Phase::kExit || news.phase == Phase::kPaused;
}

void Vcpu::Resume(const Napi::CallbackInfo& info) {
  VcpuThread& running = thread(info.Env());
  // Before its news were delivered there is nothing that could have been answered.
  if (held_ || ended_) return;
  Hold(info.Env());
  running.Resume();
}

// The number of the kick, to be compared with `acked`; 0 if the vCPU is out of KVM_RUN now.
Napi::Value Vcpu::Kick(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(thread(info.Env()).Kick()));
}

Napi::Value Vcpu::Pause(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(thread(info.Env()).Pause()));
}

// Asks the thread to end; its last news are kEnded.
void Vcpu::Halt(const Napi::CallbackInfo& info) {
  VcpuThread& running = thread(info.Env());
  if (ended_) return;
  Hold(info.Env());
  running.Stop();
}

Napi::Value Vcpu::RecordsReady(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ring_ ? static_cast<double>(ring_->Ready()) : 0);
}

void Vcpu::Consume(const Napi::CallbackInfo& info) {
  uint64_t count = IntegerArgument(info, 0, "count", MAX_SAFE_INTEGER);
  if (!ring_ || count > ring_->Waiting()) throw ArgumentError(info.Env(), "there are not as many records");
  ring_->Consume(count);
}

// [entries, exits, recorded, kicks, foreign, again, ringStops]
Napi::Value Vcpu::Counters(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const ThreadCounters& counters = thread(env).counters();
  // All at first: setters of Array.prototype may run below.
  std::vector<double> counts;
  for (const auto* counter : {&counters.entries, &counters.exits, &counters.recorded, &counters.kicks,
                              &counters.foreign, &counters.again, &counters.ring_stops})
    counts.push_back(static_cast<double>(counter->load()));
  Napi::Array result = Napi::Array::New(env);
  uint32_t index = 0;
  for (double count : counts) result.Set(index++, Napi::Number::New(env, count));
  return result;
}
