//! What the simulation has found, by the seeds that found it.
//!
//! A seed tells its story only as long as the simulation makes the same choices; the tests that the list
//! names keep each story for good. The seeds stay as seeds like any other.
//!
//! | seed | story | test |
//! |---|---|---|
//! | 95 | a snapshot in several objects had a header in the first one only, and could not be restored | `each_object_of_a_long_snapshot_is_read_by_itself` |
//! | 108, 7851 | a run slept while it recovered, was overtaken, and took the emptied log for that of a job that never was | `a_run_is_overtaken_by_a_claim_behind_its_own_and_by_no_other` |
//! | 559 | a run that was overtaken while it recovered discarded what the newer run had staged | `an_overtaken_run_removes_nothing_of_a_newer_one`, `a_collection_keeps_the_output_of_newer_runs` |
//! | 1760 | of two publications without an answer the first had succeeded, and only the second was remembered | `of_several_publications_in_doubt_the_one_that_was_written_is_found` |
//! | 659, 9422 | an old run published into the hole where a newer one had deleted its manifest, and committed output twice | `a_second_attempt_does_not_publish_into_a_hole`, `a_run_in_doubt_does_not_publish_into_the_hole_that_a_newer_run_has_left`, `a_manifest_above_what_the_claim_behind_it_knew_of_is_a_latecomer` |
//! | 81073 | the deletion of a manifest failed and was forgotten, and then the objects that it named were deleted | `a_manifest_whose_deletion_is_in_doubt_stays_with_what_it_names` |
//! | 45193 | a run fell back behind a damaged checkpoint, and the old run committed that one's output between the look at what is visible and the discarding of what is staged | `what_an_old_run_commits_while_a_new_one_falls_back_is_taken_back` |
//! | 24 | a run saw an empty log, slept while another one did the whole job, and refused its output as that of another place | `a_start_beside_another_run_is_not_refused_for_its_output` |
//! | 627 | a run was overtaken behind a savepoint, and the newer one closed another epoch of the same number: whoever began from the savepoint wrote its output twice | `a_savepoint_is_neither_published_nor_committed_and_is_copied_behind_a_later_checkpoint` |

use crate::seeds::check;

#[test]
fn the_seeds_that_found_something_find_nothing_any_more() {
    for seed in [24, 95, 108, 559, 627, 659, 1760, 7851, 9422, 45193, 81073] {
        check(seed);
    }
}
