/** A recording cannot be made here: one sentence that says why and what to do. Exit 2. */
export class Refusal extends Error {
  override name = "Refusal";
}
