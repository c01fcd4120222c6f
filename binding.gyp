{
  "targets": [
    {
      "target_name": "kvm_dsm",
      "sources": [
        "native/addon.cc",
        "native/deadline.cc",
        "native/device.cc",
        "native/eventfd.cc",
        "native/fd_of.cc",
        "native/handle.cc",
        "native/mapping.cc",
        "native/poller.cc",
        "native/request.cc",
        "native/settle.cc",
        "native/stats.cc",
        "native/system.cc",
        "native/vcpu.cc",
        "native/vcpu_thread.cc",
        "native/vfio.cc",
        "native/vm.cc",
        "native/vm_dirty_log.cc",
        "native/vm_events.cc",
        "native/vm_msr_filter.cc",
        "native/wake.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror=return-type"],
      "cflags_cc!": ["-fno-exceptions"]
    }
  ]
}
