{
  "targets": [
    {
      "target_name": "kvm_dsm",
      "sources": [
        "native/core/exit_log.cc",
        "native/core/mapped_range.cc",
        "native/core/news.cc",
        "native/core/owned_fd.cc",
        "native/core/record.cc",
        "native/core/request.cc",
        "native/core/run.cc",
        "native/core/run_into.cc",
        "native/core/unanswered.cc",
        "native/core/settle.cc",
        "native/core/signals.cc",
        "native/core/vcpu_thread.cc",
        "native/core/waits.cc",
        "native/core/watchdog.cc",
        "native/js/addon.cc",
        "native/js/arguments.cc",
        "native/js/desk.cc",
        "native/js/device.cc",
        "native/js/errors.cc",
        "native/js/eventfd.cc",
        "native/js/exit_log.cc",
        "native/js/handle.cc",
        "native/js/mapping.cc",
        "native/js/poller.cc",
        "native/js/stats.cc",
        "native/js/system.cc",
        "native/js/vcpu.cc",
        "native/js/vcpu_log.cc",
        "native/js/vcpu_start.cc",
        "native/js/vfio.cc",
        "native/js/view.cc",
        "native/js/vm.cc",
        "native/js/vm_events.cc",
        "native/js/vm_memory.cc",
        "native/js/vm_msr_filter.cc",
        "native/js/wake.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_ADDON_API_CPP_EXCEPTIONS_ALL", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror=return-type"],
      "cflags_cc!": ["-fno-exceptions"]
    }
  ]
}
