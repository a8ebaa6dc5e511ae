/** The command was used in a way that cannot work: one sentence. Exit 2. */
export class WrongUse extends Error {
  override name = "WrongUse";
}
