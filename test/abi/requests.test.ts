/** The table of requests: what the addon is built with, and what the C compiler says of its arrays. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeIoctl } from '../../lib/abi/kvm/request-number.ts';
import { requests } from '../../lib/abi/kvm/requests.ts';
import { requestTable, requestTableFile } from '../../tools/request-table.ts';
import { ask, noCompiler } from './c.ts';

test('native/core/request_table.h is what npm run build:requests makes', () => {
  assert.equal(readFileSync(requestTableFile, 'utf8'), requestTable());
});

/** The struct of each request that ends in an array, its count and its entries. */
const arrays: Record<string, readonly [struct: string, count: string, entries: string]> = {
  KVM_GET_MSR_INDEX_LIST: ['kvm_msr_list', 'nmsrs', 'indices'],
  KVM_GET_MSR_FEATURE_INDEX_LIST: ['kvm_msr_list', 'nmsrs', 'indices'],
  KVM_GET_SUPPORTED_CPUID: ['kvm_cpuid2', 'nent', 'entries'],
  KVM_GET_EMULATED_CPUID: ['kvm_cpuid2', 'nent', 'entries'],
  KVM_GET_SUPPORTED_HV_CPUID: ['kvm_cpuid2', 'nent', 'entries'],
  KVM_SET_GSI_ROUTING: ['kvm_irq_routing', 'nr', 'entries'],
  KVM_SET_PMU_EVENT_FILTER: ['kvm_pmu_event_filter', 'nevents', 'events'],
  KVM_GET_MSRS: ['kvm_msrs', 'nmsrs', 'entries'],
  KVM_SET_MSRS: ['kvm_msrs', 'nmsrs', 'entries'],
  KVM_SET_CPUID: ['kvm_cpuid', 'nent', 'entries'],
  KVM_SET_CPUID2: ['kvm_cpuid2', 'nent', 'entries'],
  KVM_GET_CPUID2: ['kvm_cpuid2', 'nent', 'entries'],
  KVM_GET_REG_LIST: ['kvm_reg_list', 'n', 'reg'],
};

test('arrays of requests are those of <linux/kvm.h>', { skip: noCompiler }, () => {
  const probes = Object.entries(requests).flatMap(([name, request]) => {
    if (request.passes !== 'array') return [];
    const [struct, count, entries] = arrays[name] ?? assert.fail(`${name} has no struct to compare with`);
    const member = (path: string) => `((struct ${struct} *)0)->${path}`;
    return [
      ['head', `offsetof(struct ${struct}, ${entries})`, decodeIoctl(request.number).size],
      ['count offset', `offsetof(struct ${struct}, ${count})`, request.countOffset],
      ['count size', `sizeof(${member(count)})`, request.countSize],
      ['entry size', `sizeof(${member(`${entries}[0]`)})`, request.entrySize],
    ].map(([what, expression, expected]) => ({
      label: `${name}: ${what}`,
      expression: expression as string,
      expected: expected as number,
    }));
  });
  const { wrong, right } = ask(['linux/kvm.h'], probes);
  assert.deepEqual(wrong, []);
  assert.equal(right.length, 4 * Object.keys(arrays).length);
});
