// A vCPU that is run on the calling thread, its exits into a machine's log.
#include "../core/run_into.h"
#include "arguments.h"
#include "errors.h"
#include "exit_log.h"
#include "vcpu.h"

// (log, vcpuId, most): core/run_into.h, with the limits that lie on the desk; the time of an exit goes there.
Napi::Value Vcpu::RunInto(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::shared_ptr<ExitLog> log = ExitLogObject::Argument(info, 0);
  auto id = static_cast<unsigned>(IntegerArgument(info, 1, "vcpuId", ExitLog::kMaxVcpus - 1));
  uint64_t most = IntegerArgument(info, 2, "most", MAX_SAFE_INTEGER);
  Run run = RunOf(env);
  run.again = true;
  const char* failed = nullptr;
  int error = 0;
  Watch* watch = Watch::Mine(failed, error);
  if (!watch) throw ErrnoError(env, failed, error);
  return Napi::Number::New(env, RunIntoLog(run, {*log, id, most}, *watch, &desk_.number(Desk::kStampNs)));
}
