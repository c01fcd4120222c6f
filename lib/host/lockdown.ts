/** Whether the kernel keeps root from changing it. */
import { readText } from './read-text.ts';

export type Lockdown = 'none' | 'integrity' | 'confidentiality';

/** The level in brackets: `none [integrity] confidentiality`; `null` where the kernel has no lockdown, or does not tell. */
export function readLockdown(root = ''): Lockdown | null {
  const text = readText(`${root}/sys/kernel/security/lockdown`);
  return (/\[(none|integrity|confidentiality)\]/.exec(text ?? '')?.[1] ?? null) as Lockdown | null;
}
