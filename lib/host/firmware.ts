/** Whether the firmware has switched virtualization off. */
import { closeSync, openSync, readSync } from 'node:fs';
import { KernelLog } from './kernel-log.ts';

/** IA32_FEATURE_CONTROL: once it is locked, VMX works only with the bit for outside of SMX. Source: SDM, 24.7. */
const FEATURE_CONTROL = { msr: 0x3a, off: (value: bigint) => (value & 1n) !== 0n && (value & 4n) === 0n };
/** VM_CR: SVMDIS. Source: AMD's manual, volume 2, 15.30.1. */
const VM_CR = { msr: 0xc001_0114, off: (value: bigint) => (value & 0x10n) !== 0n };

/**
 * What kernels say of it. Sources: arch/x86/kernel/cpu/feat_ctl.c: init_ia32_feat_ctl; arch/x86/kvm/vmx/vmx.c: __kvm_is_vmx_supported;
 * arch/x86/kvm/svm/svm.c: __kvm_is_svm_supported; before Linux 6.1 arch/x86/kvm/x86.c: kvm_arch_init.
 */
const words =
  /VMX \((?:in|out)side TXT\) disabled by BIOS|VMX not enabled \(by BIOS\)|SVM disabled \(by BIOS\)|kvm: (?:support for '\w+' )?disabled by bios/;

/**
 * Whether the firmware has it off, by the MSR (root, and the module msr), else by the kernel's log; `null` where neither
 * tells.
 */
export function virtualizationOff(kind: 'VMX' | 'SVM', root = ''): boolean | null {
  const { msr, off } = kind === 'VMX' ? FEATURE_CONTROL : VM_CR;
  const value = readMsr(`${root}/dev/cpu/0/msr`, msr);
  if (value !== null) return off(value);
  const log = KernelLog.fromStart(`${root}/dev/kmsg`);
  if (typeof log === 'string') return null;
  try {
    return log.lines().some((line) => words.test(line)) || null;
  } catch {
    return null;
  } finally {
    log.close();
  }
}

function readMsr(path: string, msr: number): bigint | null {
  try {
    const fd = openSync(path, 'r');
    try {
      const value = new BigUint64Array(1);
      return readSync(fd, value, 0, 8, msr) === 8 ? value[0]! : null;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}
