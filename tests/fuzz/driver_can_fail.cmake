dr_fuzz(driver_can_fail)
if(TEST fuzz_driver_can_fail)
  set_tests_properties(fuzz_driver_can_fail PROPERTIES WILL_FAIL TRUE)
endif()
