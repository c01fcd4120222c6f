/** One thing that the doctor looked at. */
export interface HealthCheck {
  /** Stable name, such as `device.present`. */
  id: string;
  /** ok: as it should be; note: worth knowing; warn: may get in the way; fail: what was asked for cannot work here. */
  status: 'ok' | 'note' | 'warn' | 'fail';
  /** What was found, one sentence. */
  finding: string;
  /** What to do; null where nothing is to be done. */
  advice: string | null;
}

export function healthCheck(
  id: string,
  status: HealthCheck['status'],
  finding: string,
  advice: string | null = null,
): HealthCheck {
  return { id, status, finding, advice };
}
