import { drawn } from "../../testing/text.js";

/** What a hostile task may be called: 15 bytes that move the cursor, end the line, turn the text around or are markup. */
export const HOSTILE = [
  "\u001b[2J\u001b]0;x\u0007",
  "\u009b31m",
  "a\"b'c<d>&",
  "<b onclick=x>",
  "</td><script>",
  "<img/onerror=a>",
  "]]>&#0;&x;",
  "a\u202eb\u2066",
  "a b-c",
  "\u007f\u0008\u0008",
];

/** A trace with a bug in which every task bears the name. */
export function hostileTrace(name: string): string {
  return drawn(`
    ${name}-115 [000] ..... 10.000000: kvm_init: (kvm_init+0x0/0x3e0 [kvm])
    ${name}-115 [000] ..... 10.100000: regops: (kvm_register_device_ops+0x0/0x40 [kvm]) ops=0xffffffffc054a6a0 type=4
    ${name}-115 [000] ..... 10.100100: regops_ret: (kvm_init+0x31c/0x3e0 [kvm] <- kvm_register_device_ops) ret=-17
    ${name}-115 [000] ..... 10.200000: kvm_init_ret: (svm_init+0x2b/0x1000 [kvm_amd] <- kvm_init) ret=-17`);
}
