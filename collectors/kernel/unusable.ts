/** A file of the kernel cannot be used: which one, where in it, what to do. */
export class UnusableKernel extends Error {
  override name = "UnusableKernel";
}
