#pragma once

#include "kernels/cuda_tensor_cores.cuh"

// Products of a warpgroup on Hopper (wgmma), [64, n] by 16 terms: sums = a b, or sums += a b, b
// [16, n]. The warp w of the four has the rows 16 w .. 16 w + 15, as n / 8 tiles of 8 columns. a
// lies in shared memory or, as its warp's rows, in registers; b lies in shared memory. Both are
// given as operand() of kernels/cuda_wgmma.cuh gives them. They are queued: see begin_products()
// there.
namespace fulgur::cuda::hopper {

template <bool kATransposed, bool kBTransposed>
__device__ void multiply_add_async(Sums (&sums)[8], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{.reg .pred more; setp.ne.b32 more, %34, 0;"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31},"
      "%32, %33, more, 1, 1, %35, %36;}"
      : "+f"(sums[0].c[0]), "+f"(sums[0].c[1]), "+f"(sums[0].c[2]), "+f"(sums[0].c[3]),
        "+f"(sums[1].c[0]), "+f"(sums[1].c[1]), "+f"(sums[1].c[2]), "+f"(sums[1].c[3]),
        "+f"(sums[2].c[0]), "+f"(sums[2].c[1]), "+f"(sums[2].c[2]), "+f"(sums[2].c[3]),
        "+f"(sums[3].c[0]), "+f"(sums[3].c[1]), "+f"(sums[3].c[2]), "+f"(sums[3].c[3]),
        "+f"(sums[4].c[0]), "+f"(sums[4].c[1]), "+f"(sums[4].c[2]), "+f"(sums[4].c[3]),
        "+f"(sums[5].c[0]), "+f"(sums[5].c[1]), "+f"(sums[5].c[2]), "+f"(sums[5].c[3]),
        "+f"(sums[6].c[0]), "+f"(sums[6].c[1]), "+f"(sums[6].c[2]), "+f"(sums[6].c[3]),
        "+f"(sums[7].c[0]), "+f"(sums[7].c[1]), "+f"(sums[7].c[2]), "+f"(sums[7].c[3])
      : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(int{kATransposed}), "n"(int{kBTransposed}));
}

template <bool kATransposed, bool kBTransposed>
__device__ void multiply_add_async(Sums (&sums)[16], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{.reg .pred more; setp.ne.b32 more, %66, 0;"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63},"
      "%64, %65, more, 1, 1, %67, %68;}"
      : "+f"(sums[0].c[0]), "+f"(sums[0].c[1]), "+f"(sums[0].c[2]), "+f"(sums[0].c[3]),
        "+f"(sums[1].c[0]), "+f"(sums[1].c[1]), "+f"(sums[1].c[2]), "+f"(sums[1].c[3]),
        "+f"(sums[2].c[0]), "+f"(sums[2].c[1]), "+f"(sums[2].c[2]), "+f"(sums[2].c[3]),
        "+f"(sums[3].c[0]), "+f"(sums[3].c[1]), "+f"(sums[3].c[2]), "+f"(sums[3].c[3]),
        "+f"(sums[4].c[0]), "+f"(sums[4].c[1]), "+f"(sums[4].c[2]), "+f"(sums[4].c[3]),
        "+f"(sums[5].c[0]), "+f"(sums[5].c[1]), "+f"(sums[5].c[2]), "+f"(sums[5].c[3]),
        "+f"(sums[6].c[0]), "+f"(sums[6].c[1]), "+f"(sums[6].c[2]), "+f"(sums[6].c[3]),
        "+f"(sums[7].c[0]), "+f"(sums[7].c[1]), "+f"(sums[7].c[2]), "+f"(sums[7].c[3]),
        "+f"(sums[8].c[0]), "+f"(sums[8].c[1]), "+f"(sums[8].c[2]), "+f"(sums[8].c[3]),
        "+f"(sums[9].c[0]), "+f"(sums[9].c[1]), "+f"(sums[9].c[2]), "+f"(sums[9].c[3]),
        "+f"(sums[10].c[0]), "+f"(sums[10].c[1]), "+f"(sums[10].c[2]), "+f"(sums[10].c[3]),
        "+f"(sums[11].c[0]), "+f"(sums[11].c[1]), "+f"(sums[11].c[2]), "+f"(sums[11].c[3]),
        "+f"(sums[12].c[0]), "+f"(sums[12].c[1]), "+f"(sums[12].c[2]), "+f"(sums[12].c[3]),
        "+f"(sums[13].c[0]), "+f"(sums[13].c[1]), "+f"(sums[13].c[2]), "+f"(sums[13].c[3]),
        "+f"(sums[14].c[0]), "+f"(sums[14].c[1]), "+f"(sums[14].c[2]), "+f"(sums[14].c[3]),
        "+f"(sums[15].c[0]), "+f"(sums[15].c[1]), "+f"(sums[15].c[2]), "+f"(sums[15].c[3])
      : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(int{kATransposed}), "n"(int{kBTransposed}));
}

template <bool kATransposed, bool kBTransposed>
__device__ void multiply_add_async(Sums (&sums)[32], std::uint64_t a, std::uint64_t b, bool add) {
  asm volatile(
      "{.reg .pred more; setp.ne.b32 more, %130, 0;"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
      "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
      "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
      "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
      "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127},"
      "%128, %129, more, 1, 1, %131, %132;}"
      : "+f"(sums[0].c[0]), "+f"(sums[0].c[1]), "+f"(sums[0].c[2]), "+f"(sums[0].c[3]),
        "+f"(sums[1].c[0]), "+f"(sums[1].c[1]), "+f"(sums[1].c[2]), "+f"(sums[1].c[3]),
        "+f"(sums[2].c[0]), "+f"(sums[2].c[1]), "+f"(sums[2].c[2]), "+f"(sums[2].c[3]),
        "+f"(sums[3].c[0]), "+f"(sums[3].c[1]), "+f"(sums[3].c[2]), "+f"(sums[3].c[3]),
        "+f"(sums[4].c[0]), "+f"(sums[4].c[1]), "+f"(sums[4].c[2]), "+f"(sums[4].c[3]),
        "+f"(sums[5].c[0]), "+f"(sums[5].c[1]), "+f"(sums[5].c[2]), "+f"(sums[5].c[3]),
        "+f"(sums[6].c[0]), "+f"(sums[6].c[1]), "+f"(sums[6].c[2]), "+f"(sums[6].c[3]),
        "+f"(sums[7].c[0]), "+f"(sums[7].c[1]), "+f"(sums[7].c[2]), "+f"(sums[7].c[3]),
        "+f"(sums[8].c[0]), "+f"(sums[8].c[1]), "+f"(sums[8].c[2]), "+f"(sums[8].c[3]),
        "+f"(sums[9].c[0]), "+f"(sums[9].c[1]), "+f"(sums[9].c[2]), "+f"(sums[9].c[3]),
        "+f"(sums[10].c[0]), "+f"(sums[10].c[1]), "+f"(sums[10].c[2]), "+f"(sums[10].c[3]),
        "+f"(sums[11].c[0]), "+f"(sums[11].c[1]), "+f"(sums[11].c[2]), "+f"(sums[11].c[3]),
        "+f"(sums[12].c[0]), "+f"(sums[12].c[1]), "+f"(sums[12].c[2]), "+f"(sums[12].c[3]),
        "+f"(sums[13].c[0]), "+f"(sums[13].c[1]), "+f"(sums[13].c[2]), "+f"(sums[13].c[3]),
        "+f"(sums[14].c[0]), "+f"(sums[14].c[1]), "+f"(sums[14].c[2]), "+f"(sums[14].c[3]),
        "+f"(sums[15].c[0]), "+f"(sums[15].c[1]), "+f"(sums[15].c[2]), "+f"(sums[15].c[3]),
        "+f"(sums[16].c[0]), "+f"(sums[16].c[1]), "+f"(sums[16].c[2]), "+f"(sums[16].c[3]),
        "+f"(sums[17].c[0]), "+f"(sums[17].c[1]), "+f"(sums[17].c[2]), "+f"(sums[17].c[3]),
        "+f"(sums[18].c[0]), "+f"(sums[18].c[1]), "+f"(sums[18].c[2]), "+f"(sums[18].c[3]),
        "+f"(sums[19].c[0]), "+f"(sums[19].c[1]), "+f"(sums[19].c[2]), "+f"(sums[19].c[3]),
        "+f"(sums[20].c[0]), "+f"(sums[20].c[1]), "+f"(sums[20].c[2]), "+f"(sums[20].c[3]),
        "+f"(sums[21].c[0]), "+f"(sums[21].c[1]), "+f"(sums[21].c[2]), "+f"(sums[21].c[3]),
        "+f"(sums[22].c[0]), "+f"(sums[22].c[1]), "+f"(sums[22].c[2]), "+f"(sums[22].c[3]),
        "+f"(sums[23].c[0]), "+f"(sums[23].c[1]), "+f"(sums[23].c[2]), "+f"(sums[23].c[3]),
        "+f"(sums[24].c[0]), "+f"(sums[24].c[1]), "+f"(sums[24].c[2]), "+f"(sums[24].c[3]),
        "+f"(sums[25].c[0]), "+f"(sums[25].c[1]), "+f"(sums[25].c[2]), "+f"(sums[25].c[3]),
        "+f"(sums[26].c[0]), "+f"(sums[26].c[1]), "+f"(sums[26].c[2]), "+f"(sums[26].c[3]),
        "+f"(sums[27].c[0]), "+f"(sums[27].c[1]), "+f"(sums[27].c[2]), "+f"(sums[27].c[3]),
        "+f"(sums[28].c[0]), "+f"(sums[28].c[1]), "+f"(sums[28].c[2]), "+f"(sums[28].c[3]),
        "+f"(sums[29].c[0]), "+f"(sums[29].c[1]), "+f"(sums[29].c[2]), "+f"(sums[29].c[3]),
        "+f"(sums[30].c[0]), "+f"(sums[30].c[1]), "+f"(sums[30].c[2]), "+f"(sums[30].c[3]),
        "+f"(sums[31].c[0]), "+f"(sums[31].c[1]), "+f"(sums[31].c[2]), "+f"(sums[31].c[3])
      : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(int{kATransposed}), "n"(int{kBTransposed}));
}

template <bool kBTransposed>
__device__ void multiply_add_async(Sums (&sums)[8], const A& a, std::uint64_t b, bool add) {
  asm volatile(
      "{.reg .pred more; setp.ne.b32 more, %37, 0;"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31},"
      "{%32,%33,%34,%35}, %36, more, 1, 1, %38;}"
      : "+f"(sums[0].c[0]), "+f"(sums[0].c[1]), "+f"(sums[0].c[2]), "+f"(sums[0].c[3]),
        "+f"(sums[1].c[0]), "+f"(sums[1].c[1]), "+f"(sums[1].c[2]), "+f"(sums[1].c[3]),
        "+f"(sums[2].c[0]), "+f"(sums[2].c[1]), "+f"(sums[2].c[2]), "+f"(sums[2].c[3]),
        "+f"(sums[3].c[0]), "+f"(sums[3].c[1]), "+f"(sums[3].c[2]), "+f"(sums[3].c[3]),
        "+f"(sums[4].c[0]), "+f"(sums[4].c[1]), "+f"(sums[4].c[2]), "+f"(sums[4].c[3]),
        "+f"(sums[5].c[0]), "+f"(sums[5].c[1]), "+f"(sums[5].c[2]), "+f"(sums[5].c[3]),
        "+f"(sums[6].c[0]), "+f"(sums[6].c[1]), "+f"(sums[6].c[2]), "+f"(sums[6].c[3]),
        "+f"(sums[7].c[0]), "+f"(sums[7].c[1]), "+f"(sums[7].c[2]), "+f"(sums[7].c[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "r"(static_cast<int>(add)),
        "n"(int{kBTransposed}));
}

template <bool kBTransposed>
__device__ void multiply_add_async(Sums (&sums)[16], const A& a, std::uint64_t b, bool add) {
  asm volatile(
      "{.reg .pred more; setp.ne.b32 more, %69, 0;"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63},"
      "{%64,%65,%66,%67}, %68, more, 1, 1, %70;}"
      : "+f"(sums[0].c[0]), "+f"(sums[0].c[1]), "+f"(sums[0].c[2]), "+f"(sums[0].c[3]),
        "+f"(sums[1].c[0]), "+f"(sums[1].c[1]), "+f"(sums[1].c[2]), "+f"(sums[1].c[3]),
        "+f"(sums[2].c[0]), "+f"(sums[2].c[1]), "+f"(sums[2].c[2]), "+f"(sums[2].c[3]),
        "+f"(sums[3].c[0]), "+f"(sums[3].c[1]), "+f"(sums[3].c[2]), "+f"(sums[3].c[3]),
        "+f"(sums[4].c[0]), "+f"(sums[4].c[1]), "+f"(sums[4].c[2]), "+f"(sums[4].c[3]),
        "+f"(sums[5].c[0]), "+f"(sums[5].c[1]), "+f"(sums[5].c[2]), "+f"(sums[5].c[3]),
        "+f"(sums[6].c[0]), "+f"(sums[6].c[1]), "+f"(sums[6].c[2]), "+f"(sums[6].c[3]),
        "+f"(sums[7].c[0]), "+f"(sums[7].c[1]), "+f"(sums[7].c[2]), "+f"(sums[7].c[3]),
        "+f"(sums[8].c[0]), "+f"(sums[8].c[1]), "+f"(sums[8].c[2]), "+f"(sums[8].c[3]),
        "+f"(sums[9].c[0]), "+f"(sums[9].c[1]), "+f"(sums[9].c[2]), "+f"(sums[9].c[3]),
        "+f"(sums[10].c[0]), "+f"(sums[10].c[1]), "+f"(sums[10].c[2]), "+f"(sums[10].c[3]),
        "+f"(sums[11].c[0]), "+f"(sums[11].c[1]), "+f"(sums[11].c[2]), "+f"(sums[11].c[3]),
        "+f"(sums[12].c[0]), "+f"(sums[12].c[1]), "+f"(sums[12].c[2]), "+f"(sums[12].c[3]),
        "+f"(sums[13].c[0]), "+f"(sums[13].c[1]), "+f"(sums[13].c[2]), "+f"(sums[13].c[3]),
        "+f"(sums[14].c[0]), "+f"(sums[14].c[1]), "+f"(sums[14].c[2]), "+f"(sums[14].c[3]),
        "+f"(sums[15].c[0]), "+f"(sums[15].c[1]), "+f"(sums[15].c[2]), "+f"(sums[15].c[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "l"(b), "r"(static_cast<int>(add)),
        "n"(int{kBTransposed}));
}

}  // namespace fulgur::cuda::hopper
