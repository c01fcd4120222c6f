/** Whether the CPU can run guests, and whose machine it is in. */
import { whyNoModule, whyNoVirtualization } from '../host/kvm-absence.ts';
import type { KvmFacts } from '../host/kvm-facts.ts';
import { laneHere } from '../host/lane.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

/** The CPU's vendor, what it offers for virtualization, and whether the module for that is there. */
export function checkCpu(facts: KvmFacts): HealthCheck[] {
  const { vendor, model } = facts.cpu;
  const checks = [
    healthCheck('cpu.vendor', vendor ? 'ok' : 'note', `CPU: ${vendor || 'unknown vendor'}, ${model}`),
    checkVirtualization(facts),
    // A lane's emulator is told by the lane.
    ...(laneHere ? [] : checkHypervisor(facts)),
  ];
  const module = whyNoModule(facts);
  if (module) checks.push(healthCheck('module', 'warn', module.finding, module.advice));
  else if (!facts.cpu.virtualization)
    checks.push(healthCheck('module', 'note', 'Neither kvm_intel nor kvm_amd runs guests here'));
  return checks;
}

function checkVirtualization(facts: KvmFacts): HealthCheck {
  const absence = whyNoVirtualization(facts);
  if (absence)
    return healthCheck('cpu.virtualization', 'warn', absence.finding, `${absence.advice} Or use the lab: --on vmx.`);
  return facts.kind === 'VMX'
    ? healthCheck('cpu.virtualization', 'ok', 'The CPU offers VMX (Intel), which the series is written for')
    : healthCheck(
        'cpu.virtualization',
        'note',
        'The CPU offers SVM (AMD); the series names VMX, its hook works on both',
      );
}

/** A virtual machine's own KVM is nested, and depends on what is outside. */
function checkHypervisor({ hypervisor, cpu, kind }: KvmFacts): HealthCheck[] {
  if (!hypervisor || !cpu.virtualization) return [];
  const { name } = hypervisor;
  const finding = `This is a virtual machine${name ? ` of ${name}` : ''}: its KVM is nested, and what guests do goes through both`;
  const advice = name === 'Hyper-V' && kind === 'VMX' ? HYPERV_ENTRY : null;
  return [healthCheck('hypervisor', 'note', finding, advice)];
}

/** Hyper-V's enlightened VMCS has no field for why an entry failed: KVM hands a zero on. */
export const HYPERV_ENTRY =
  'If guests end with KVM_EXIT_FAIL_ENTRY and reason 0, Hyper-V refuses the entry without saying why: leave KVM_CAP_X86_DISABLE_EXITS alone (HLT has to exit here), or load kvm_intel with enlightened_vmcs=0.';
