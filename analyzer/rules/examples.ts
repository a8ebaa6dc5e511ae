/**
 * A real example for each rule, and what looks like it and is right. Fixtures are not part of the package: their stories
 * are kept as text (`examples/<rule>.txt`), made by `examples.test.ts`.
 */
import { readFileSync } from "node:fs";
import { packageRoot } from "../../collectors/package-root.js";
import type { RuleId } from "./finding.js";

export interface Example {
  /** A recording of a real kernel in `fixtures/` in which the rule finds something. */
  fixture: string;
  /** Healthy recordings that look like it, and why they are right. */
  alike: Readonly<Record<string, string>>;
}

export const EXAMPLES: Readonly<Record<RuleId, Example>> = {
  leak: {
    fixture: "vcpu-fd-leak-6.1",
    alike: {
      "healthy-stats-6.12": "statistics files hold the VM after its own file is closed, and are closed later",
      "healthy-fork-6.12": "a killed owner's files live on in its child, and so do their references",
    },
  },
  "extra-put": {
    fixture: "kvmuser-extra-put-6.12",
    alike: {
      "noisy-6.1": "puts outnumber gets, since gets are inlined and nobody probed them",
      "clean-7.2": "after zero the counter is above zero again: another VM has the address",
    },
  },
  "use-after-release": {
    fixture: "create-device-race-6.1",
    alike: {
      "healthy-exhaust-5.10": "destroyed by the error path of its own creation, which goes on to use what it frees",
      "healthy-stats-6.12": "statistics are read after the VM's own file is closed: their file holds the VM",
    },
  },
  "stale-ops": {
    fixture: "seed0-6.1",
    alike: {
      "healthy-reload-6.1-stranger": "modules come and go, and each load registers what the one before unregistered",
    },
  },
  "double-registration": {
    fixture: "iommu-driver-twice-6.1",
    alike: {
      "healthy-refusals-5.10": "user space asks for what is there already, and is refused: its own fault",
    },
  },
  "unmatched-unregister": {
    fixture: "consumer-by-token-6.1",
    alike: {
      "healthy-msi-6.12": "a consumer is unregistered that was registered under the same token before",
    },
  },
  "ignored-failure": {
    fixture: "vendor-ignored-failure-6.1",
    alike: {
      "healthy-refusals-5.10": "the error is handed back to the system call that asked",
    },
  },
  "unregister-stuck": {
    fixture: "unbind-stuck-5.10",
    alike: {
      "healthy-unbind-open-5.10": "the unbind waits for the user's file, and goes on once it is closed",
    },
  },
  "illegal-transition": {
    fixture: "migration-shortcut-6.12",
    alike: {
      "healthy-mdev-6.12": "several states in one request, each step along an arc of the protocol",
    },
  },
  "counter-range": {
    fixture: "open-count-negative-6.12",
    alike: {
      "healthy-vfio-6.12": "each open is closed once, by whichever task comes last",
    },
  },
  "borrowed-outlives": {
    fixture: "kvm-left-in-group-6.1",
    alike: {
      "healthy-member-5.10": "groups are taken out of the VM, or the VM's device file is closed, before the VM goes",
    },
  },
  order: {
    fixture: "producer-after-free-irq-6.1",
    alike: {
      "healthy-interrupts-7.2": "producer first, then its interrupt",
    },
  },
  "work-after-cancel": {
    fixture: "assigned-irq-c-6.1",
    alike: {
      "healthy-assigned-irq-d-6.1": "the interrupt is disabled first, so that nothing queues the work again",
    },
  },
  "module-ref": {
    fixture: "vendor-module-reference-6.1",
    alike: {
      "healthy-clean-6.1": "files hold their module until they are closed",
    },
  },
};

/** The story of a rule's example, as text. */
export function exampleText(rule: RuleId): string {
  return readFileSync(new URL(`analyzer/rules/examples/${rule}.txt`, packageRoot()), "utf8");
}
