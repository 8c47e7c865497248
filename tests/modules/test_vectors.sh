#!/usr/bin/env bash
# test_vectors.sh: `verimesh verify --json` on every log of tests/vectors/kel, against its manifest.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: tests/modules/test_vectors.sh   from the repository's root; B=build: the folder with verimesh
set -euo pipefail
export LC_ALL=C

verimesh=${B:-build}/verimesh
vectors=tests/vectors/kel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The verdict on a bad log; refused unless it stands here.
declare -A kinds=(
    [counter_max_4095]=truncated
    [frame_length_lie_long]=truncated
    [no_attachment]=truncated
    [no_attachment]=truncated
    [truncated_in_attachment]=truncated
    [version_size_huge]=truncated
    [duplicate_receipt_one_witness]=underwitnessed
    [insufficient_receipts]=underwitnessed
    [receipt_B_alt_code_one_witness]=underwitnessed
    [receipt_bad_signature]=underwitnessed
    [receipt_from_non_witness]=underwitnessed
    [duplicitous_rot_same_sn]=duplicitous
)

# Reads a vector, then the lines of the answer; prints what is wrong with them.
# shellcheck disable=SC2016 # the variables are those of jq
compare='
    input as $vector | [inputs] as $lines |
    ($lines | map(select(has("verdict")))) as $verdicts |
    ($lines | map(select(has("keys")))) as $states |
    def state($aid): $states | map(select(.aid == $aid));
    def accepted($want; $aid):
        state($aid)[0] as $got |
        if $got == null then "no state of \($aid)" else
            ["sn", "final_sn"], ["said", "final_said"], ["keys", "current_keys"], ["kt", "kt"],
            ["nt", "nt"], ["next", "next"] |
            select($got[.[0]] != $want[.[1]]) | "\(.[0]) is \($got[.[0]])"
        end;
    if ($lines | length) != ($states | length) + ($verdicts | length) then "another kind of line"
    elif ($states | map(.aid) | unique | length) != ($states | length) then "a state twice"
    elif $vector.verdict == "accept" then
        state($vector.aid)[0] as $got |
        (if $status != 0 then "exit status \($status)" else empty end),
        ($verdicts[] | "verdict \(.)"),
        accepted($vector; $vector.aid),
        ($vector.aids // {} | to_entries[] | accepted(.value; .key)),
        (if ($states | length) != ($vector.aids // {} | length | [., 1] | max)
            then "\($states | length) states" else empty end),
        (if $got.witnesses != ($vector.witnesses // []) then "witnesses \($got.witnesses)" else empty end),
        (if $vector.bt and ($got.bt | tostring) != ($vector.bt | tostring)
            then "bt \($got.bt)" else empty end),
        (if $got.delegator != $vector.delegator then "delegator \($got.delegator)" else empty end),
        (if $got.abandoned != ($vector.abandoned // false) then "abandoned \($got.abandoned)" else empty end)
    else
        $vector.valid_through_sn as $through | state($vector.aid)[0] as $got |
        (if $status != 1 then "exit status \($status)" else empty end),
        (if ($verdicts | length) != 1 or ($lines | last) != $verdicts[0]
            then "\($verdicts | length) verdicts" else empty end),
        (if $verdicts[0].verdict != $kind then "verdict \($verdicts[0].verdict)" else empty end),
        (if $verdicts[0] | [has("aid"), has("event"), has("sn"), has("reason")] | all | not
            then "a field is missing" else empty end),
        (if $through and $verdicts[0].sn and $verdicts[0].sn > $through + 2
            then "verdict on sn \($verdicts[0].sn)" else empty end),
        (if $got.sn != $through then "valid through sn \($got.sn)" else empty end),
        (if $vector.first_seen and $got.said != $vector.first_seen
            then "not the first seen" else empty end)
    end'

failed=0
# Judges one answer: vector, name, exit status.
judge() {
    local wrong
    wrong=$(jq -rn --argjson status "$3" --arg kind "${kinds[$2]:-refused}" "$compare" \
        <(printf '%s' "$1") "$work/out" 2>&1) || wrong="${wrong:-jq failed}"
    [ ! -s "$work/err" ] || wrong="$wrong $(cat "$work/err")"
    if [ -z "$wrong" ]; then
        echo "ok $2"
    else
        echo "$wrong"
        echo "not ok $2"
        failed=1
    fi
}

jq -c '.vectors[]' "$vectors/manifest.json" >"$work/list"
while IFS= read -r vector; do
    name=$(jq -r .name <<<"$vector")
    file=$vectors/$(jq -r .file <<<"$vector")
    status=0
    "$verimesh" verify --json "$file" >"$work/out" 2>"$work/err" || status=$?
    cp "$work/out" "$work/first"
    judge "$vector" "$name" "$status"
    # the same from standard input, and in words: the same exit status
    again=0 words=0
    "$verimesh" verify --json - <"$file" >"$work/out" 2>>"$work/err" || again=$?
    "$verimesh" verify "$file" >"$work/words" 2>"$work/problem" || words=$?
    if ! cmp -s "$work/first" "$work/out" || [ "$again" -ne "$status" ] || [ "$words" -ne "$status" ] ||
        [ "$(wc -l <"$work/problem")" -ne "$status" ]; then
        echo "not ok $name: from standard input or in words it is another answer"
        failed=1
    fi
done <"$work/list"

# No vector without its entry.
listed=$(wc -l <"$work/list")
there=$(find "$vectors" -name '*.cesr' | wc -l)
if [ "$listed" -gt 0 ] && [ "$listed" -eq "$there" ]; then
    echo "ok every vector is in the manifest"
else
    echo "not ok every vector is in the manifest"
    failed=1
fi
exit "$failed"
