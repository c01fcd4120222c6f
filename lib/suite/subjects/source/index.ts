/** `id` of lapic_irq: which vCPU wrote. */
import { subject } from '../../check.ts';
import { idChecks } from './id.ts';
import { vcpuChecks } from './vcpus.ts';

export const source = subject('source', 'who wrote: the id in lapic_irq', [...idChecks, ...vcpuChecks]);
