/** Numbers of the errors that the catalog and reports name (include/uapi/asm-generic/errno-base.h). */
export const ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  ENOSPC: 28,
};

/** Whether a function's result, its return value as a signed number, is one of these errors. */
export function isErrorOf(result: number, names: readonly string[]): boolean {
  return names.some((name) => result === -(ERRNO[name] ?? 0));
}
