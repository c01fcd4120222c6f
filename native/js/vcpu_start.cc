// A vCPU on a thread of its own, as JavaScript drives it.
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>

#include "arguments.h"
#include "errors.h"
#include "vcpu.h"
#include "wake.h"

namespace {

uint64_t Option(Napi::Object options, const char* name, double min, double max) {
  Napi::Value value = options.Get(name);
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= min && number <= max) || number != static_cast<double>(static_cast<uint64_t>(number)))
    throw ArgumentError(options.Env(), std::string(name) + " is not an integer in its range");
  return static_cast<uint64_t>(number);
}

}  // namespace

VcpuThread& Vcpu::thread(Napi::Env env) {
  if (!thread_) throw CodedError(env, "ERR_VCPU_NOT_STARTED", "the vCPU has no thread");
  return *thread_;
}

// (onNews, { vcpuId, record: null | { reasons: number[], capacity, unionBytes, ioBytes, watermark, rip } }): the ring's
// memory, or null. onNews(phase, errno, acked, held, seq, ns) is called on this thread, once for all that has happened
// since its last call, and must not throw.
Napi::Value Vcpu::Start(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  parts(env);
  if (!ended_) throw CodedError(env, "ERR_VCPU_BUSY", "the vCPU has a thread already");
  if (!info[0].IsFunction() || !info[1].IsObject()) throw ArgumentError(env, "start takes a function and an object");
  auto options = info[1].As<Napi::Object>();

  VcpuThread::Setup setup;
  setup.run = static_cast<kvm_run*>(parts_->run->data());
  setup.run_size = parts_->run->size();
  int fd = parts_->fd.get();
  setup.enter = [fd] { return ioctl(fd, KVM_RUN, 0) < 0 ? -errno : 0; };
  snprintf(setup.name, sizeof setup.name, "vcpu %u", static_cast<unsigned>(Option(options, "vcpuId", 0, UINT32_MAX)));

  Napi::Value memory = env.Null();
  std::shared_ptr<RecordRing> ring;
  std::shared_ptr<MappedRange> ring_memory;
  if (options.Get("record").IsObject()) {
    auto record = options.Get("record").As<Napi::Object>();
    size_t capacity = Option(record, "capacity", 2, 1 << 20);
    if (capacity & (capacity - 1)) throw ArgumentError(env, "capacity is not a power of two");
    RecordPlan& plan = setup.plan;
    plan.union_bytes = Option(record, "unionBytes", 16, 256);
    plan.io_bytes = Option(record, "ioBytes", 0, 4096);
    plan.watermark = Option(record, "watermark", 1, static_cast<double>(capacity));
    plan.rip = record.Get("rip").ToBoolean();
    auto reasons = record.Get("reasons").As<Napi::Array>();
    for (uint32_t i = 0; i < reasons.Length(); i++) {
      double reason = reasons.Get(i).ToNumber();
      if (!(reason >= 0 && reason < 256)) throw ArgumentError(env, "reasons has a number that is not in 0..255");
      plan.reasons.set(static_cast<size_t>(reason));
    }
    size_t record_size = (sizeof(RecordHeader) + plan.union_bytes + plan.io_bytes + 7) & ~size_t{7};
    ring_memory = Mapped(env, MappedRange::Anonymous(capacity * record_size));
    ring = std::make_shared<RecordRing>(static_cast<uint8_t*>(ring_memory->data()), capacity, record_size);
    plan.ring = ring.get();
    memory = ViewOf(env, ring_memory);
  }
  struct Kept {
    std::shared_ptr<VcpuParts> parts;
    std::shared_ptr<RecordRing> ring;
    std::shared_ptr<MappedRange> ring_memory;
  };
  setup.keep = std::make_shared<Kept>(Kept{parts_, ring, ring_memory});
  wake_ = Wake::Of(env);
  wake_->Expect();
  setup.notify = [wake = wake_](std::shared_ptr<VcpuThread> thread) { wake->Post(std::move(thread)); };

  on_news_ = Napi::Persistent(info[0].As<Napi::Function>());
  on_news_.Unref();
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
  ring_ = ring;
  ring_memory_ = ring_memory;
  Hold(env);
  return memory;
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

void Vcpu::Deliver(Napi::Env env) {
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
  size_t count = IntegerArgument(info, 0, "count", MAX_SAFE_INTEGER);
  if (!ring_ || count > ring_->Waiting()) throw ArgumentError(info.Env(), "there are not as many records");
  ring_->Consume(count);
}

// [entries, exits, recorded, kicks, foreign, again, ringStops]
Napi::Value Vcpu::Counters(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const ThreadCounters& counters = thread(env).counters();
  Napi::Array result = Napi::Array::New(env);
  uint32_t index = 0;
  for (const auto* counter : {&counters.entries, &counters.exits, &counters.recorded, &counters.kicks,
                              &counters.foreign, &counters.again, &counters.ring_stops})
    result.Set(index++, Napi::Number::New(env, static_cast<double>(counter->load())));
  return result;
}
